import { describe, expect, it } from '@jest/globals';
import { parseRule, severityOf } from './rule.ts';

const threshold = { kind: 'threshold', id: 'hot', text: 'Hot', metric: 'temperature', direction: 'above', limit: 80 };

const feature = { kind: 'feature', id: 'loud', text: 'Loud', feature: 'rms_g', direction: 'above', limit: 2 };

const score = { kind: 'model-score', id: 'odd', text: 'Odd' };

const missing = { kind: 'missing-data', id: 'silent', text: 'Silent', afterMs: 60_000 };

const WEEK_MS = 7 * 86_400_000;

const isoBaseline = { kind: 'iso-baseline', id: 'above', text: 'Above its baseline' };

describe('rule', () => {
  it.each([
    ['a deadband as wide as its limit', { ...threshold, deadband: 80 }],
    ['a deadband about a limit of zero', { ...threshold, limit: 0, deadband: 2 }],
    ['a deadband that leads away from zero', { ...threshold, direction: 'below', limit: 1, deadband: 2 }],
    ['a deadband that leads away from zero below it', { ...threshold, limit: -18, deadband: 20 }],
    ['a deadband beyond the zero of a temperature', { ...threshold, limit: 2, deadband: 3, unit: '°C' }],
    ['a deadband in the value’s unit beside a multiple', { ...feature, relativeTo: 'baseline', deadband: 5 }],
    ['a deadband where the model says the limit', { ...score, deadband: 5 }],
    ['delays of a week', { ...threshold, onDelayMs: WEEK_MS, offDelayMs: WEEK_MS }],
    ['a customary spelling of a unit', { ...threshold, unit: 'degC' }],
    ['every metric', { ...missing, metric: '*' }],
  ])('takes %s', (_what, input) => {
    expect(parseRule(input)).toMatchObject({ ok: true, rule: input });
  });

  it('fills in what is left out', () => {
    expect(parseRule(threshold)).toMatchObject({
      ok: true,
      rule: {
        ...threshold,
        deadband: 0,
        onDelayMs: 0,
        priority: 'medium',
        enabled: true,
        operatingStates: ['running'],
      },
    });
  });

  it.each([
    ['/kind', { ...threshold, kind: 'magic' }],
    ['/limit', { ...threshold, limit: '80' }],
    ['/limit', { ...threshold, limit: Number.NaN }],
    ['/limit', { ...threshold, limit: Infinity }],
    ['/limit', { ...threshold, limit: undefined }],
    ['/direction', { ...threshold, direction: 'over' }],
    ['/metric', { ...threshold, metric: '../etc' }],
    ['/metric', { ...threshold, metric: 'temp*' }],
    ['/metric', { ...threshold, metric: '' }],
    ['/metric', { ...threshold, metric: 'm'.repeat(65) }],
    ['/unit', { ...threshold, unit: 'degrees' }],
    ['/unit', { ...threshold, unit: 'C' }],
    ['/unit', { ...threshold, unit: '' }],
    ['/deadband', { ...threshold, deadband: -1 }],
    ['/deadband', { ...threshold, deadband: Infinity }],
    ['/deadband', { ...threshold, deadband: 80.1 }],
    ['/deadband', { ...threshold, direction: 'below', limit: -5, deadband: 5.1 }],
    ['/onDelayMs', { ...threshold, onDelayMs: -1 }],
    ['/onDelayMs', { ...threshold, onDelayMs: WEEK_MS + 1 }],
    ['/offDelayMs', { ...threshold, offDelayMs: -1 }],
    ['/offDelayMs', { ...threshold, offDelayMs: WEEK_MS + 1 }],
    ['/text', { ...threshold, text: '' }],
    ['/text', { ...threshold, text: 't'.repeat(201) }],
    ['/consequence', { ...threshold, consequence: 't'.repeat(1001) }],
    ['/response', { ...threshold, response: 't'.repeat(1001) }],
    ['/priority', { ...threshold, priority: 'urgent' }],
    ['/appliesTo/machines', { ...threshold, appliesTo: { machines: [] } }],
    ['/appliesTo/sites/0', { ...threshold, appliesTo: { sites: ['a b'] } }],
    ['/appliesTo', { ...threshold, appliesTo: { lines: ['a'] } }],
    ['/limit', { ...feature, relativeTo: 'baseline', limit: 0 }],
    ['/limit', { ...feature, relativeTo: 'baseline', limit: -2 }],
    ['/feature', { ...feature, feature: 'rms g' }],
    ['/source', { ...feature, source: 'readings' }],
    ['/relativeTo', { ...feature, relativeTo: 'median' }],
    ['/deadband', { ...feature, deadband: 2.1 }],
    ['/deadband', { ...feature, deadband: -1 }],
    ['/baselineDocuments', { ...feature, baselineDocuments: 1001 }],
    ['/baselineDocuments', { ...feature, baselineDocuments: 3.5 }],
    ['/deadband', { ...score, limit: 3, deadband: 3.1 }],
    ['/model', { ...score, model: 'a/b' }],
    ['/limit', { ...score, limit: null }],
    ['/afterMs', { ...missing, afterMs: WEEK_MS + 1 }],
    ['/afterMs', { ...missing, afterMs: undefined }],
    ['/metric', { ...missing, metric: 'a b' }],
    ['/aboveBaseline', { ...isoBaseline, aboveBaseline: 1.1 }],
    ['/atMost', { ...isoBaseline, atMost: 2.1 }],
    ['/appliesTo/classes/0', { ...threshold, appliesTo: { classes: ['toaster'] } }],
    ['/appliesTo/machines/1', { ...threshold, appliesTo: { machines: ['press-*', 'a/b'] } }],
    ['/operatingStates', { ...threshold, operatingStates: [] }],
    ['/afterMs', { kind: 'missing-data', id: 'silent', text: 'Silent', afterMs: 10 }],
    ['/onDelayMs', { kind: 'missing-data', id: 'silent', text: 'Silent', afterMs: 60_000, onDelayMs: 1000 }],
    ['/offDelayMs', { kind: 'missing-data', id: 'silent', text: 'Silent', afterMs: 60_000, offDelayMs: 1000 }],
    ['/severity', { ...threshold, severity: 250 }],
    ['/severity', { ...threshold, severity: 501 }],
    ['/severity', { ...threshold, priority: 'critical', severity: 1 }],
    ['/sensor', { kind: 'missing-data', id: 'dead', text: 'Dead', afterMs: 60_000, metric: 'rpm', sensor: 'de' }],
    ['/zone', { kind: 'iso-zone', id: 'iso', text: 'ISO', zone: 'A' }],
    ['/aboveBaseline', { ...isoBaseline, aboveBaseline: 0.01 }],
    ['/atMost', { ...isoBaseline, aboveBaseline: 0.8, atMost: 0.6 }],
    ['/baselineDocuments', { ...isoBaseline, baselineDocuments: 2 }],
    ['/sensor', { ...isoBaseline, sensor: 'drive end' }],
    ['', { ...isoBaseline, zone: 'C' }],
    ['', { ...threshold, limt: 3 }],
    ['', 'temperature > 80'],
    ['', null],
  ])('points at %s of what is wrong in %j', (pointer, input) => {
    const parsed = parseRule(input);
    expect(parsed.ok).toBe(false);
    expect(parsed.ok ? [] : parsed.problems.map((problem) => problem.pointer)).toEqual([pointer]);
  });

  it.each([
    ['low', 1, 250],
    ['medium', 251, 500],
    ['high', 501, 750],
    ['critical', 751, 1000],
  ])('takes severities of priority %s from %d to %d', (priority, least, most) => {
    for (const severity of [least, most]) expect(parseRule({ ...threshold, priority, severity }).ok).toBe(true);
  });

  it('takes a missing-data rule as it is kept: with delays of zero', () => {
    const kept = parseRule({ kind: 'missing-data', id: 'silent', text: 'Silent', afterMs: 60_000 });
    expect(kept.ok && parseRule(kept.rule)).toEqual(kept);
  });

  it('names every problem at once', () => {
    const parsed = parseRule({ ...threshold, limit: 'x', id: '' });
    expect(parsed.ok ? [] : parsed.problems.map((problem) => problem.pointer)).toEqual(['/id', '/limit']);
  });

  it.each([
    ['low', 125],
    ['medium', 375],
    ['high', 625],
    ['critical', 875],
  ] as const)('gives priority %s the severity %d unless it has its own', (priority, severity) => {
    expect(severityOf({ priority })).toBe(severity);
    expect(severityOf({ priority, severity: 1 })).toBe(1);
  });
});
