import type { PartDetails, ReturnToNormal } from '../domain/alarm.ts';
import type { RuleOf } from '../domain/rule.ts';
import { isoAlarmLimitMmPerS } from '../features/iso-20816.ts';
import type { DerivedDocument } from '../ports/time-series-store.ts';
import { ACTIVATED, RETURNED } from './condition.ts';
import type { DocumentFacts } from './document-facts.ts';
import { ANY_STATE, RUNNING, type DocumentJudge, type DocumentRule, type MachineJudges } from './machine-judges.ts';
import { comparison, figure, partDetails, type Judgement } from './part-details.ts';
import { matches } from './rule-scope.ts';

export interface DocumentDecisions {
  activated(judge: DocumentJudge, part: PartDetails): void;
  returned(judge: DocumentJudge, cause: ReturnToNormal['cause']): void;
}

/** Judges a document by every rule of its machine that has something to say about it. `state` has the bits of the operating states in its time: a rule judges what is of its states alone. */
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
      if (state !== ANY_STATE && (state & ~judge.gate) !== 0) {
        const isNewest = document.ts >= judge.condition.decidedMs;
        if (isNewest && judge.condition.end(document.ts)) decisions.returned(judge, 'operating-state');
        continue;
      }
      const renewedAtMs = judges.history.renewedAtMs.findLast((atMs) => atMs <= document.ts);
      const isNew =
        (renewedAtMs !== undefined && judge.baseline?.restart(renewedAtMs)) ||
        judge.baseline?.restartIfMaintained(judges.history);
      if (isNew && judge.condition.end(document.ts)) decisions.returned(judge, 'new-baseline');
      const limit = limitOf(judge, subject);
      if (state === RUNNING) judge.baseline?.learn(document.ts, subject.value, judges.history);
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
  /** Between the ISO zones B and C, where the limit depends on it. */
  readonly boundary?: number;
}

const ZONES = 'ABCD';
/** A zone is left at so much of its boundary below it, lest a machine that runs at the boundary chatter. */
const ZONE_DEADBAND = 0.1;
/** So much of the way back to its baseline a machine has to go, for the same reason: a tenth of the boundary by the standard's quarter. */
const BASELINE_DEADBAND = 0.4;

function subjectsOf(
  { rule }: DocumentRule,
  { kind, sensor }: DerivedDocument,
  facts: DocumentFacts,
): readonly Subject[] {
  switch (rule.kind) {
    case 'iso-zone':
      if (kind !== 'features' || facts.zone === undefined || isOther(rule.sensor, sensor)) return [];
      return [zoneSubject(rule.zone, facts.zone, facts.zoning)];
    case 'iso-baseline': {
      if (kind !== 'features' || facts.zoning === undefined || isOther(rule.sensor, sensor)) return [];
      const { velocityMmPerS, beginsAboveMmPerS } = facts.zoning;
      const boundary = beginsAboveMmPerS.C;
      return [{ value: velocityMmPerS, boundary, deadband: BASELINE_DEADBAND * rule.aboveBaseline * boundary }];
    }
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
  const isPattern = rule.feature.includes('*') || rule.source === 'window';
  const names = isPattern ? Object.keys(values).filter((name) => isMeant(rule, name)) : [rule.feature];
  return names.flatMap((metric) => {
    const value = values[metric];
    if (value === undefined) return [];
    const absolute = rule.relativeTo === 'absolute' ? { limit: rule.limit } : {};
    return [{ metric, value, deadband: rule.deadband, ...absolute }];
  });
}

/** A window's value `temperature:mean` may be written `temperature_mean`, as it was called when a device could send that as well. */
function isMeant({ feature, source }: RuleOf<'feature'>, name: string): boolean {
  return matches(feature, name) || (source === 'window' && matches(feature, name.replace(':', '_')));
}

function isOther(wanted: string | undefined, sensor: string | undefined): boolean {
  return wanted !== undefined && wanted !== sensor;
}

/** The limit in the value's own unit; undefined while a baseline is being learned, or where it is not positive and so has no multiple. */
function limitOf({ versioned: { rule }, baseline }: DocumentJudge, { limit, boundary }: Subject): number | undefined {
  const normal = baseline?.median;
  if (limit !== undefined || normal === undefined) return limit;
  if (rule.kind === 'iso-baseline') return boundary && isoAlarmLimitMmPerS(normal, boundary, rule);
  return rule.kind === 'feature' && normal > 0 ? rule.limit * normal : undefined;
}

function partOf(
  { versioned, condition, baseline }: DocumentJudge,
  { id, ts, sensor }: DerivedDocument,
  facts: DocumentFacts,
  { metric, value, boundary }: Subject,
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
  if (rule.kind === 'iso-zone') return partDetails(versioned, { ...common, ...zoneJudgement(rule.zone, facts, limit) });
  const normal = baseline?.median;
  const baselineWindow = baseline?.window;
  const learned = { ...(normal !== undefined && { baseline: normal }), ...(baselineWindow && { baselineWindow }) };
  if (rule.kind === 'iso-baseline' && normal !== undefined && boundary !== undefined) {
    const measured = { value, limit, unit: 'mm/s', boundary };
    const compared = comparison({ name: 'vibration velocity', direction: 'above', ...measured });
    const message = `${compared}: ${isoLimitText(rule, normal, boundary, baselineWindow?.toMs)}`;
    return partDetails(versioned, { ...common, ...learned, ...measured, ...basisOf(facts), message });
  }
  const direction = rule.kind === 'feature' ? rule.direction : 'above';
  const unit = metric === undefined ? undefined : facts.units[metric];
  const name = rule.kind === 'model-score' ? `the score of ${facts.model?.id ?? 'the model'}` : metric!;
  const relative = normal === undefined ? '' : `, ${figure(value / normal)} times its baseline`;
  const leading = rule.kind === 'model-score' && facts.leading ? `, most of all ${leadingText(facts.leading)}` : '';
  return partDetails(versioned, {
    ...common,
    message: comparison({ name, value, direction, limit, unit }) + relative + leading,
    value,
    limit,
    ...(unit !== undefined && { unit }),
    ...learned,
  });
}

/** By the velocity and the boundary that it is above; a document that tells its zone alone has neither. */
function zoneJudgement(
  asked: 'B' | 'C' | 'D',
  { zone, zoning }: DocumentFacts,
  limit: number,
): Pick<Judgement, 'message' | 'zone' | 'value' | 'limit' | 'unit' | 'basis'> {
  if (!zoning) return { message: `vibration is in zone ${zone!} of ISO 20816-3, ${asked} or worse`, zone: zone! };
  const measured = { value: zoning.velocityMmPerS, limit, unit: 'mm/s' };
  const compared = comparison({ name: 'vibration velocity', direction: 'above', ...measured });
  const of = zoning.machineKind === undefined ? '' : ` for ${zoning.machineKind}`;
  const message = `${compared}, where zone ${asked} of ISO 20816-3 begins${of}: it is in zone ${zone!}`;
  return { message, zone: zone!, ...measured, ...basisOf({ zoning }) };
}

function basisOf({ zoning }: Pick<DocumentFacts, 'zoning'>): Pick<Judgement, 'basis'> {
  return zoning?.basis === undefined ? {} : { basis: zoning.basis };
}

/** Of what the limit is made. */
function isoLimitText(
  { aboveBaseline, atMost }: RuleOf<'iso-baseline'>,
  normal: number,
  boundary: number,
  takenMs: number | undefined,
): string {
  const taken = takenMs === undefined ? '' : ` of ${new Date(takenMs).toISOString().slice(0, 10)}`;
  const own = `its baseline ${figure(normal)} mm/s${taken}`;
  const between = `${figure(boundary)} mm/s, where ISO 20816-3’s zone C begins`;
  if (normal + aboveBaseline * boundary <= atMost * boundary) {
    return `${own} and ${figure(100 * aboveBaseline)} % of ${between}`;
  }
  return `${figure(100 * atMost)} % of ${between}, the most that counts above ${own}`;
}

function leadingText({ feature, ratio }: NonNullable<DocumentFacts['leading']>): string {
  return ratio === undefined ? feature : `${feature} at ${figure(ratio)} times its baseline`;
}
