import { describe, expect, it } from '@jest/globals';
import { parseRule, severityOf } from './rule.ts';

const threshold = { kind: 'threshold', id: 'hot', text: 'Hot', metric: 'temperature', direction: 'above', limit: 80 };

const isoBaseline = { kind: 'iso-baseline', id: 'above', text: 'Above its baseline' };

describe('rule', () => {
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
    ['/metric', { ...threshold, metric: '../etc' }],
    ['/unit', { ...threshold, unit: 'degrees' }],
    ['/deadband', { ...threshold, deadband: -1 }],
    ['/onDelayMs', { ...threshold, onDelayMs: 1e12 }],
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
