import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseRfc3339 } from './timestamp.ts';

describe('RFC 3339 timestamps', () => {
  it('agree with Date for every instant of the years 0 to 9999', () => {
    const instants = fc.integer({ min: Date.UTC(1, 0, 1), max: Date.UTC(9999, 11, 31) });
    fc.assert(fc.property(instants, (ms) => parseRfc3339(new Date(ms).toISOString()) === ms));
  });

  it.each([
    ['2026-11-21T01:00:00Z', '2026-11-21T01:00:00.000Z'],
    ['2026-11-21t01:00:00z', '2026-11-21T01:00:00.000Z'],
    ['2026-11-21T01:00:00.5Z', '2026-11-21T01:00:00.500Z'],
    ['2026-11-21T01:00:00.123456789Z', '2026-11-21T01:00:00.123Z'],
    ['2026-11-21T01:00:00.123+05:30', '2026-11-20T19:30:00.123Z'],
    ['2026-11-21T01:00:00-00:00', '2026-11-21T01:00:00.000Z'],
    ['2024-02-29T12:00:00Z', '2024-02-29T12:00:00.000Z'],
    ['2016-12-31T23:59:60Z', '2017-01-01T00:00:00.000Z'],
  ])('read %s as %s', (text, expected) => {
    expect(new Date(parseRfc3339(text) ?? NaN).toISOString()).toBe(expected);
  });

  it.each([
    ['no offset', '2026-11-21T01:00:00.000'],
    ['no time', '2026-11-21'],
    ['a space for T', '2026-11-21 01:00:00Z'],
    ['month 13', '2026-13-21T01:00:00Z'],
    ['month 0', '2026-00-21T01:00:00Z'],
    ['29 February of a common year', '2026-02-29T01:00:00Z'],
    ['31 April', '2026-04-31T01:00:00Z'],
    ['hour 24', '2026-11-21T24:00:00Z'],
    ['minute 60', '2026-11-21T01:60:00Z'],
    ['second 61', '2026-11-21T01:00:61Z'],
    ['an empty fraction', '2026-11-21T01:00:00.Z'],
    ['text after Z', '2026-11-21T01:00:00ZZ'],
    ['an offset without colon', '2026-11-21T01:00:00+0100'],
    ['an offset of 24 hours', '2026-11-21T01:00:00+24:00'],
    ['a sign in the year', '-026-11-21T01:00:00Z'],
    ['words', 'the day before tomorrow'],
    ['nothing', ''],
  ])('refuse %s', (_reason, text) => {
    expect(parseRfc3339(text)).toBeUndefined();
  });
});
