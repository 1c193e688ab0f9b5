import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { timestampParser } from './timestamp-format.ts';
import type { TimestampFormat } from './timestamp-format.ts';

const PATTERN = 'yyyy-MM-dd HH:mm:ss';

describe('a timestamp format', () => {
  it.each<{ format: TimestampFormat; text: string; is: string }>([
    { format: { format: 'rfc3339' }, text: '2020-03-09T10:14:33.250+01:00', is: '2020-03-09T09:14:33.250Z' },
    { format: { format: 'epoch-ms' }, text: '1583748873000', is: '2020-03-09T10:14:33.000Z' },
    { format: { format: 'epoch-s' }, text: '1583748873.5', is: '2020-03-09T10:14:33.500Z' },
    { format: { format: PATTERN }, text: '2020-03-09 10:14:33', is: '2020-03-09T10:14:33.000Z' },
    { format: { format: PATTERN, utcOffset: '-05:30' }, text: '2020-03-09 10:14:33', is: '2020-03-09T15:44:33.000Z' },
    { format: { format: 'dd.MM.yyyy HH:mm' }, text: '09.03.2020 10:14', is: '2020-03-09T10:14:00.000Z' },
    { format: { format: 'yyyyMMddHHmmssSSS' }, text: '20200309101433007', is: '2020-03-09T10:14:33.007Z' },
    {
      format: { format: 'counter', counterStepS: 600, counterOrigin: '2008-01-01T00:00:00Z' },
      text: '6',
      is: '2008-01-01T01:00:00.000Z',
    },
  ])('$format.format reads $text as $is', ({ format, text, is }) => {
    expect(new Date(timestampParser(format)(text)!).toISOString()).toBe(is);
  });

  it.each<{ format: TimestampFormat; text: string }>([
    { format: { format: 'rfc3339' }, text: '2020-03-09' },
    { format: { format: 'epoch-ms' }, text: 'now' },
    { format: { format: 'epoch-s' }, text: '' },
    { format: { format: PATTERN }, text: '2020-03-09T10:14:33' },
    { format: { format: PATTERN }, text: '2020-13-09 10:14:33' },
    { format: { format: PATTERN }, text: '2020-03-09 24:14:33' },
    { format: { format: PATTERN }, text: '2020-03-09 10:14' },
    { format: { format: PATTERN }, text: '2020-03-09 1x:14:33' },
  ])('$format.format does not read $text', ({ format, text }) => {
    expect(timestampParser(format)(text)).toBeUndefined();
  });

  it.each<{ format: TimestampFormat; says: string }>([
    { format: { format: 'HH:mm' }, says: 'must be rfc3339' },
    { format: { format: PATTERN, utcOffset: 'CET' }, says: 'utcOffset must be Z or like +01:00' },
    { format: { format: 'counter' }, says: 'counterStepS' },
    { format: { format: 'counter', counterStepS: 1 }, says: 'counterOrigin' },
  ])('refuses $format and says why', ({ format, says }) => {
    expect(() => timestampParser(format)).toThrow(says);
  });

  it('reads back any second that it wrote', () => {
    const parse = timestampParser({ format: PATTERN });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_000_000_000 }), (second) => {
        const text = new Date(second * 1000).toISOString().slice(0, 19).replace('T', ' ');
        return parse(text) === second * 1000;
      }),
    );
  });
});
