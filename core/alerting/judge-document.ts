import type { PartDetails, ReturnToNormal } from '../domain/alarm.ts';
import type { RuleOf } from '../domain/rule.ts';
import type { DerivedDocument } from '../ports/time-series-store.ts';
import { ACTIVATED, RETURNED } from './condition.ts';
import type { DocumentFacts } from './document-facts.ts';
import type { DocumentJudge, DocumentRule, MachineJudges } from './machine-judges.ts';
import { comparison, figure, partDetails, type Judgement } from './part-details.ts';
import { matches } from './rule-scope.ts';

export interface DocumentDecisions {
  activated(judge: DocumentJudge, part: PartDetails): void;
  returned(judge: DocumentJudge, cause: ReturnToNormal['cause']): void;
}

/** Judges a document by every rule of its machine that has something to say about it. `state` is the operating state's bits at its time. */
export function judgeDocument(
  judges: MachineJudges,
  document: DerivedDocument,
  facts: DocumentFacts,
  state: number,
  decisions: DocumentDecisions,
): void {
  for (const versioned of judges.documentRules) {
    for (const subject of subjectsOf(versioned, document, facts)) {
      const judge = judges.documentJudge(versioned, subject.metric, document.sensor);
      if (!judge) continue;
      if ((judge.gate & state) === 0) {
        if (judge.condition.end(document.ts)) decisions.returned(judge, 'operating-state');
        continue;
      }
      const limit = limitOf(judge, subject, document.ts);
      if (limit === undefined) continue;
      judge.condition.setLimit(limit, subject.deadband);
      const decision = judge.condition.step(document.ts, subject.value);
      if (decision === ACTIVATED) decisions.activated(judge, partOf(judge, document, facts, subject, limit));
      else if (decision === RETURNED) decisions.returned(judge, 'condition');
    }
  }
}

/** A value of a document that a rule judges. */
interface Subject {
  /** Absent where the rule has one subject a sensor. */
  readonly metric?: string;
  readonly value: number;
  /** Absent where it is relative to what the judge has learned. */
  readonly limit?: number;
  readonly deadband: number;
}

const ZONES = 'ABCD';
/** A zone is left at so much of its boundary below it, lest a machine that runs at the boundary chatter. */
const ZONE_DEADBAND = 0.1;

function subjectsOf(
  { rule }: DocumentRule,
  { kind, sensor }: DerivedDocument,
  facts: DocumentFacts,
): readonly Subject[] {
  switch (rule.kind) {
    case 'iso-zone':
      if (kind !== 'features' || facts.zone === undefined || isOther(rule.sensor, sensor)) return [];
      return [zoneSubject(rule.zone, facts.zone, facts.zoning)];
    case 'model-score': {
      const limit = rule.limit ?? facts.threshold;
      if (kind !== 'prediction' || facts.score === undefined || limit === undefined) return [];
      if (rule.model !== undefined && !matches(rule.model, facts.model?.id ?? '')) return [];
      return [{ metric: facts.model?.id ?? 'score', value: facts.score, limit, deadband: rule.deadband }];
    }
    case 'feature':
      if (kind !== rule.source || isOther(rule.sensor, sensor)) return [];
      return valuesOf(rule, facts);
  }
}

/** By the velocity; where only the zone is told, half a step below the rule's, as a zone is either reached or not. */
function zoneSubject(asked: 'B' | 'C' | 'D', zone: string, zoning: DocumentFacts['zoning']): Subject {
  if (!zoning) return { value: ZONES.indexOf(zone), limit: ZONES.indexOf(asked) - 0.5, deadband: 0 };
  const limit = zoning.beginsAboveMmPerS[asked];
  return { value: zoning.velocityMmPerS, limit, deadband: ZONE_DEADBAND * limit };
}

function valuesOf(rule: RuleOf<'feature'>, { values }: DocumentFacts): readonly Subject[] {
  const names = rule.feature.includes('*')
    ? Object.keys(values).filter((name) => matches(rule.feature, name))
    : [rule.feature];
  return names.flatMap((metric) => {
    const value = values[metric];
    if (value === undefined) return [];
    const absolute = rule.relativeTo === 'absolute' ? { limit: rule.limit } : {};
    return [{ metric, value, deadband: rule.deadband, ...absolute }];
  });
}

function isOther(wanted: string | undefined, sensor: string | undefined): boolean {
  return wanted !== undefined && wanted !== sensor;
}

/** The limit in the value's own unit; undefined while a baseline is being learned, or where it is not positive and so has no multiple. */
function limitOf({ versioned, baseline }: DocumentJudge, subject: Subject, ts: number): number | undefined {
  if (subject.limit !== undefined) return subject.limit;
  const { rule } = versioned;
  if (rule.kind !== 'feature' || !baseline) return undefined;
  const { median } = baseline;
  if (median === undefined) baseline.learn(ts, subject.value);
  return median !== undefined && median > 0 ? rule.limit * median : undefined;
}

function partOf(
  { versioned, condition, baseline }: DocumentJudge,
  { id, ts, sensor }: DerivedDocument,
  facts: DocumentFacts,
  { metric, value }: Subject,
  limit: number,
): PartDetails {
  const { rule } = versioned;
  const common: Omit<Judgement, 'message'> = {
    window: { fromMs: condition.sinceMs, toMs: ts },
    documentId: id,
    ...(metric !== undefined && { metric }),
    ...(sensor !== undefined && { sensor }),
    ...(facts.waveformId !== undefined && { waveformId: facts.waveformId }),
    ...(facts.model && { model: facts.model }),
  };
  if (rule.kind === 'iso-zone') {
    const message = `vibration velocity is in zone ${facts.zone!} of ISO 20816-3, ${rule.zone} or worse`;
    const velocity = facts.values['velocity_rms_mm_s'];
    const measured = velocity === undefined ? {} : { value: velocity, unit: 'mm/s' };
    return partDetails(versioned, { ...common, message, zone: facts.zone!, ...measured });
  }
  const direction = rule.kind === 'feature' ? rule.direction : 'above';
  const unit = metric === undefined ? undefined : facts.units[metric];
  const name = rule.kind === 'model-score' ? `the score of ${facts.model?.id ?? 'the model'}` : metric!;
  const normal = baseline?.median;
  const relative = normal === undefined ? '' : `, ${figure(value / normal)} times its baseline`;
  const leading = rule.kind === 'model-score' && facts.leading ? `, most of all ${leadingText(facts.leading)}` : '';
  return partDetails(versioned, {
    ...common,
    message: comparison({ name, value, direction, limit, unit }) + relative + leading,
    value,
    limit,
    ...(unit !== undefined && { unit }),
    ...(normal !== undefined && { baseline: normal }),
  });
}

function leadingText({ feature, ratio }: NonNullable<DocumentFacts['leading']>): string {
  return ratio === undefined ? feature : `${feature} at ${figure(ratio)} times its baseline`;
}
