import { describe, expect, it } from '@jest/globals';
import { machineKey, type MachineId, type SiteId, type TenantId } from '../domain/ids.ts';
import { machineSchema } from '../domain/plant.ts';
import { ruleSchema, type RuleDescription, type VersionedRule } from '../domain/rule.ts';
import { unjudgedReadings } from './unjudged-readings.ts';

const TENANT = 'demo' as TenantId;
const KEY = machineKey(TENANT, 'akron' as SiteId, 'press-7' as MachineId);

const ruleOf = (more: Partial<RuleDescription> = {}): VersionedRule => ({
  tenant: TENANT,
  version: 1,
  updatedAtMs: 0,
  updatedBy: 'test',
  rule: ruleSchema.parse({
    ...{ kind: 'threshold', id: 'hot', text: 'Hot', metric: 'temperature', direction: 'above', limit: 80, unit: 'Cel' },
    ...more,
  }),
});

const unjudged = (reading: { unit: string | undefined }, rule = ruleOf(), metrics: object[] = []) =>
  unjudgedReadings(
    { key: KEY, machine: machineSchema.parse({ id: 'press-7', class: 'press', metrics }) },
    [{ metric: 'temperature', value: 95, ...reading }],
    [rule],
  );

describe('readings that no rule judges', () => {
  it('names the rule, the metric and both units', () => {
    expect(unjudged({ unit: 'C' })).toEqual([
      { rule: 'hot', metric: 'temperature', readingUnit: 'C', ruleUnit: 'Cel' },
    ]);
  });

  it('are told by the catalogue’s unit where none was sent', () => {
    const metrics = [{ name: 'temperature', unit: 'mV' }];
    expect(unjudged({ unit: undefined }, ruleOf(), metrics)).toMatchObject([{ readingUnit: 'mV', ruleUnit: 'Cel' }]);
  });

  it.each([
    ['converts', { unit: '[degF]' }, ruleOf()],
    ['is a customary spelling', { unit: 'Celsius' }, ruleOf()],
    ['is not known, and no catalogue tells it', { unit: undefined }, ruleOf()],
    ['is compared as it is by a rule without a unit', { unit: 'C' }, ruleOf({ unit: undefined })],
    ['is of no concern to a rule for other machines', { unit: 'C' }, ruleOf({ appliesTo: { machines: ['fan-*'] } })],
    ['is of no concern to a rule that is disabled', { unit: 'C' }, ruleOf({ enabled: false })],
    ['is of another metric', { unit: 'C' }, ruleOf({ metric: 'pressure' })],
  ])('are none where the unit %s', (_why, reading, rule) => {
    expect(unjudged(reading, rule)).toEqual([]);
  });
});
