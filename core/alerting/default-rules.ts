import type { TenantId } from '../domain/ids.ts';
import { ruleId, ruleSchema, type Rule, type RuleDescription } from '../domain/rule.ts';
import { isPortError, type CallOptions } from '../errors.ts';
import type { RuleStore } from '../ports/rule-store.ts';

const DESCRIPTIONS: readonly RuleDescription[] = [
  {
    kind: 'threshold',
    id: 'current-mean-high',
    text: 'Motor current high',
    metric: 'current_mean',
    direction: 'above',
    limit: 10,
    deadband: 0.5,
    unit: 'A',
    priority: 'medium',
    consequence: 'The motor overheats, its winding ages, and the protection may trip.',
    response: 'Look for overload, a tight bearing, misalignment or a missing phase; reduce the load.',
  },
  {
    kind: 'threshold',
    id: 'temperature-mean-high',
    text: 'Temperature high',
    metric: 'temperature_mean',
    direction: 'above',
    limit: 80,
    deadband: 2,
    unit: 'Cel',
    priority: 'high',
    consequence: 'Grease and seals degrade; a bearing may seize.',
    response: 'Check lubrication, cooling and load; stop the machine if it goes on rising.',
  },
  {
    kind: 'threshold',
    id: 'temperature-high',
    text: 'Temperature high',
    metric: 'temperature',
    direction: 'above',
    limit: 80,
    deadband: 2,
    onDelayMs: 10_000,
    offDelayMs: 30_000,
    unit: 'Cel',
    priority: 'high',
    consequence: 'Grease and seals degrade; a bearing may seize.',
    response: 'Check lubrication, cooling and load; stop the machine if it goes on rising.',
  },
  {
    kind: 'iso-zone',
    id: 'iso-zone-c',
    text: 'Vibration too high for long-term operation',
    zone: 'C',
    priority: 'medium',
    consequence: 'ISO 20816-3 zone C: fit for a limited time only.',
    response: 'Look at the spectrum for the cause, and plan remedial work.',
  },
  {
    kind: 'iso-zone',
    id: 'iso-zone-d',
    text: 'Vibration dangerous',
    zone: 'D',
    priority: 'critical',
    consequence: 'ISO 20816-3 zone D: severe enough to cause damage.',
    response: 'Reduce the load or stop the machine, and find the cause before it runs on.',
  },
  {
    kind: 'iso-baseline',
    id: 'iso-above-baseline',
    text: 'Vibration well above its own baseline',
    priority: 'medium',
    consequence: 'ISO 20816-3: a change of this size should be explained, whatever the zone.',
    response: 'Look at the spectrum for what has changed since the baseline was taken, and watch the trend.',
  },
  {
    kind: 'model-score',
    id: 'model-anomaly',
    text: 'Unlike its healthy self',
    // A fifth of the health model's threshold: where the model itself ends an alert.
    deadband: 0.6,
    priority: 'high',
    consequence: 'A fault is developing, most likely in a bearing; at first weeks, later hours remain.',
    response: 'Look at the envelope spectrum for defect frequencies, listen, and plan an inspection.',
  },
  {
    kind: 'missing-data',
    id: 'machine-silent',
    text: 'No data from a running machine',
    afterMs: 300_000,
    priority: 'medium',
    consequence: 'Nobody sees what happens to the machine.',
    response: 'Check power and network of the device, then the sensor.',
  },
  {
    kind: 'missing-data',
    id: 'metric-missing',
    text: 'A sensor has stopped',
    metric: '*',
    afterMs: 900_000,
    priority: 'medium',
    consequence: 'What it measured is not watched any more: no limit on it can raise an alarm.',
    response:
      'Check the sensor, its wiring, and its device’s clock: what that makes late is stored and not judged. One that was removed, or sends only now and then, is to be declared optional among the metrics of the machine’s description.',
  },
];

/** The rules that a tenant begins with. They are its own from then on: changed and deleted like any other. */
export const DEFAULT_RULES: readonly Rule[] = DESCRIPTIONS.map((description) => ruleSchema.parse(description));

const AUTHOR = 'tribo';

/** Gives a tenant those default rules that it has never had; what it changed or deleted stays so. Safe to call concurrently. */
export async function seedDefaultRules(store: RuleStore, tenant: TenantId, options?: CallOptions): Promise<void> {
  for (const rule of DEFAULT_RULES) {
    const history = await store.history(tenant, ruleId(rule), { limit: 1 }, options);
    if (history.length > 0) continue;
    try {
      await store.put(tenant, rule, { by: AUTHOR, expectedVersion: 0 }, options);
    } catch (error) {
      if (!(isPortError(error) && error.code === 'failed_precondition')) throw error;
    }
  }
}
