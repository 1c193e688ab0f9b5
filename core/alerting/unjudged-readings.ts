import type { MachineKey } from '../domain/ids.ts';
import type { Machine } from '../domain/plant.ts';
import type { VersionedRule } from '../domain/rule.ts';
import { convertUnit } from '../domain/units.ts';
import type { LatestValue } from '../ports/time-series-store.ts';
import { appliesTo } from './rule-scope.ts';

/** A rule that is meant for a metric and does not judge it: the reading's unit does not convert to the rule's. */
export interface UnjudgedReading {
  readonly rule: string;
  readonly metric: string;
  /** As it was sent, else the catalogue's. */
  readonly readingUnit: string;
  readonly ruleUnit: string;
}

/** Which of a machine's newest readings no limit is compared with because of their units: what the engine passes over, said to a person. */
export function unjudgedReadings(
  { key, machine }: { readonly key: MachineKey; readonly machine: Machine },
  latest: readonly Pick<LatestValue, 'metric' | 'value' | 'unit'>[],
  rules: readonly VersionedRule[],
): readonly UnjudgedReading[] {
  const readings = new Map(latest.map((reading) => [reading.metric, reading]));
  const units = new Map(machine.metrics.map(({ name, unit }) => [name, unit]));
  return rules.flatMap((versioned) => {
    const { rule } = versioned;
    if (rule.kind !== 'threshold' || !appliesTo(versioned, key, machine)) return [];
    const reading = readings.get(rule.metric);
    const kept = units.get(rule.metric);
    const [readingUnit, ruleUnit] = [reading?.unit ?? kept, rule.unit ?? kept];
    if (reading === undefined || readingUnit === undefined || ruleUnit === undefined) return [];
    if (convertUnit(reading.value, readingUnit, ruleUnit) !== undefined) return [];
    return [{ rule: rule.id, metric: rule.metric, readingUnit, ruleUnit }];
  });
}
