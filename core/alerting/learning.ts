import { MAINTENANCE, RUNNING, type DocumentJudge, type DocumentRule, type MachineJudges } from './machine-judges.ts';

/** A rule or model that does not judge a machine yet: it learns what is normal for it. */
export interface Learning {
  readonly by: 'rule' | 'model';
  /** Of the rule; of a model, `health`. */
  readonly id: string;
  readonly sensor?: string;
  /** The value whose baseline it is; absent where there is one a sensor. */
  readonly metric?: string;
  /** Values so far, and how many are needed; a model says it in words. */
  readonly learnt?: number;
  readonly needed?: number;
  readonly sinceMs?: number;
  /** Why it does not get on, or how far a model is; absent while values come. */
  readonly detail?: string;
}

/** Of one machine at most so many are told. */
const MAX_TOLD = 50;

/** What is still being learned of a machine, by rules that compare with a baseline and by models. */
export function learningOf(judges: MachineJudges): readonly Learning[] {
  const ofRules = judges.documentRules.flatMap((versioned) => ofRule(judges, versioned));
  const ofModels = [...judges.modelsLearning].map(([sensor, { reason, sinceMs }]): Learning => {
    return { by: 'model', id: 'health', sensor, detail: reason, ...(sinceMs !== undefined && { sinceMs }) };
  });
  return [...ofRules, ...ofModels].slice(0, MAX_TOLD);
}

function ofRule(judges: MachineJudges, { rule, version }: DocumentRule): Learning[] {
  if (!('baselineDocuments' in rule) || (rule.kind === 'feature' && rule.relativeTo === 'absolute')) return [];
  const known = [...judges.documents.values()].filter(
    (judge) => judge.versioned.rule.id === rule.id && judge.versioned.version === version,
  );
  const { id, baselineDocuments: needed, sensor } = rule;
  if (known.length > 0) return known.flatMap((judge) => ofJudge(judges, judge));
  const detail = waitsForState(judges) ?? NOTHING_YET[rule.kind];
  return [{ by: 'rule', id, learnt: 0, needed, ...(sensor !== undefined && { sensor }), detail }];
}

const NOTHING_YET = {
  'iso-baseline': 'no waveform has given a velocity with a zone of ISO 20816-3 yet',
  feature: 'the value has not come yet',
} as const;

function ofJudge(judges: MachineJudges, { versioned, baseline, sensor, metric }: DocumentJudge): Learning[] {
  const progress = baseline?.progress;
  if (!progress) return [];
  const detail = waitsForState(judges);
  return [
    {
      by: 'rule',
      id: versioned.rule.id,
      ...(sensor !== undefined && { sensor }),
      ...(metric !== undefined && { metric }),
      ...progress,
      ...(detail !== undefined && { detail }),
    },
  ];
}

/** A baseline is learned only while the machine runs for sure. */
function waitsForState({ state }: MachineJudges): string | undefined {
  if (state === RUNNING) return undefined;
  if (state === MAINTENANCE) return 'it waits until maintenance is over';
  return 'it waits until the machine is known to run';
}
