import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { TelemetryBody } from '../domain/reading.ts';
import { MetricCatalogue } from './metric-catalogue.ts';
import { MAX_MESSAGES, MAX_METRICS, readTelemetry, type TelemetryReading } from './telemetry.ts';

const NOW_MS = Date.parse('2026-11-21T01:00:00.000Z');
const RULES = { nowMs: NOW_MS, maxAheadMs: 300_000, acceptAgeMs: 7 * 86_400_000, imported: false };
const CATALOGUE = new MetricCatalogue([
  { name: 'velocity_rms', unit: 'mm/s', min: 0, max: 500 },
  { name: 'temperature', unit: 'Cel', min: -60, max: 400 },
  { name: 'rpm', unit: '/min' },
]);

function read(text: string | Uint8Array, rules = RULES): TelemetryReading {
  return readTelemetry(typeof text === 'string' ? Buffer.from(text) : text, CATALOGUE, rules);
}

function bodyOf(reading: TelemetryReading, at = 0): TelemetryBody {
  return JSON.parse(Buffer.from(reading.admitted[at]?.payload ?? []).toString()) as TelemetryBody;
}

function codes(reading: TelemetryReading): string[] {
  const inside = reading.admitted.flatMap((message) => message.rejections);
  return [...reading.rejections, ...inside].map(({ code, pointer }) => `${code} ${pointer}`);
}

const message = (metrics: unknown, ts: unknown = NOW_MS) => JSON.stringify({ ts, metrics });

describe('telemetry', () => {
  it('reads the example of wire.md', () => {
    const reading = read(
      '{ "id": "m-1", "ts": "2026-11-21T01:00:00.000Z", "metrics": { "velocity_rms": 2.31, "temperature": 61.2, "rpm": 1797 } }',
    );
    expect(codes(reading)).toEqual([]);
    expect(reading.admitted).toMatchObject([{ id: 'm-1', ts: NOW_MS, items: 3 }]);
    expect(bodyOf(reading)).toMatchObject({
      ts: NOW_MS,
      metrics: { velocity_rms: 2.31, temperature: 61.2, rpm: 1797 },
    });
  });

  it('takes the bytes of a message whose ts is a number as they are', () => {
    const bytes = Buffer.from(message({ velocity_rms: 1.5, other: { value: 2, quality: 'bad' } }));
    expect(read(bytes).admitted[0]?.payload).toBe(bytes);
  });

  it.each([
    ['a metric called ts', `{"metrics":{"ts":5},"ts":"2026-11-21T01:00:00Z"}`, { ts: 5 }],
    ['an escaped key', String.raw`{"\u0074s":"2026-11-21T01:00:00Z","metrics":{"a":1}}`, { a: 1 }],
    ['two ts', `{"ts":"2026-11-21T01:00:00Z","metrics":{"a":1},"ts":"2026-11-21T01:00:00Z"}`, { a: 1 }],
    ['an id that looks like it', String.raw`{"id":"\"ts\":","ts":"2026-11-21T01:00:00Z","metrics":{"a":1}}`, { a: 1 }],
    ['a foreign key', `{"x":{"ts":"2026-11-21T01:00:00Z"},"ts":"2026-11-21T01:00:00Z","metrics":{"a":1}}`, { a: 1 }],
    ['spaces around the colon', `{"ts" : "2026-11-21T01:00:00Z", "metrics":{"a":1}}`, { a: 1 }],
    [
      'a unit called ts',
      `{"ts":"2026-11-21T01:00:00Z","metrics":{"a":{"value":1,"unit":"ts"}}}`,
      { a: { value: 1, unit: 'ts' } },
    ],
  ])('stores the time as a number in spite of %s', (_reason, text, metrics) => {
    const reading = read(text);
    expect(bodyOf(reading)).toMatchObject({ ts: NOW_MS, metrics });
  });

  it('stores for any lawful message the time, and each metric that was sent', () => {
    const name = fc
      .stringMatching(/^[A-Za-z0-9_-]{1,12}$/)
      .filter((text) => !['__proto__', 'constructor', 'prototype'].includes(text));
    const ts = fc.integer({ min: NOW_MS - 86_400_000, max: NOW_MS });
    const value = fc.double({ noNaN: true, noDefaultInfinity: true });
    const metrics = fc.dictionary(
      fc.constantFrom('a', 'ts', 'unit').chain((own) => fc.oneof(fc.constant(own), name)),
      value,
      { minKeys: 1 },
    );
    fc.assert(
      fc.property(ts, metrics, fc.boolean(), fc.constantFrom(undefined, 2), (ms, sent, iso, space) => {
        fc.pre(Object.keys(sent).every((key) => !['velocity_rms', 'temperature', 'rpm'].includes(key)));
        const reading = read(
          JSON.stringify({ ts: iso ? new Date(ms).toISOString() : ms, metrics: sent }, undefined, space),
        );
        expect(codes(reading)).toEqual([]);
        expect(bodyOf(reading)).toEqual({ ts: ms, metrics: JSON.parse(JSON.stringify(sent)) as unknown });
      }),
    );
  });

  it('never throws, whatever the bytes', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 200 }),
          fc.json().map((text) => Buffer.from(text)),
        ),
        (bytes) => {
          const reading = read(bytes);
          return reading.rejections.length > 0 || reading.admitted.length > 0;
        },
      ),
    );
  });

  it.each([
    ['malformed JSON', '{"ts":', 'malformed_json '],
    ['nothing', '', 'malformed_json '],
    ['NaN', `{"ts":${NOW_MS},"metrics":{"a":NaN}}`, 'malformed_json '],
    ['Infinity', `{"ts":${NOW_MS},"metrics":{"a":Infinity}}`, 'malformed_json '],
    ['illegal UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]), 'invalid_utf8 '],
    ['a string', '"hello"', 'invalid_type '],
    ['null', 'null', 'invalid_type '],
    ['an array in an array', '[[]]', 'invalid_type /0'],
    ['an empty array', '[]', 'too_many_messages '],
    ['too many messages', JSON.stringify(Array(MAX_MESSAGES + 1).fill({})), 'too_many_messages '],
    ['deep nesting', '['.repeat(60_000) + ']'.repeat(60_000), 'invalid_type /0'],
    [
      'deep nesting in a metric',
      `{"ts":${NOW_MS},"metrics":{"a":${'['.repeat(5e4)}${']'.repeat(5e4)}}}`,
      'invalid_type /metrics/a',
    ],
    ['no ts', '{"metrics":{"a":1}}', 'missing_timestamp /ts'],
    ['a ts that is no time', message({ a: 1 }, 'tomorrow'), 'invalid_timestamp /ts'],
    ['a ts without offset', message({ a: 1 }, '2026-11-21T01:00:00'), 'invalid_timestamp /ts'],
    ['a ts of 1e400', '{"ts":1e400,"metrics":{"a":1}}', 'invalid_timestamp /ts'],
    ['a ts before 1970', message({ a: 1 }, -1), 'invalid_timestamp /ts'],
    ['a timestamp in 1970', message({ a: 1 }, '1970-01-01T00:00:01Z'), 'timestamp_too_old /ts'],
    ['a timestamp in seconds', message({ a: 1 }, NOW_MS / 1000), 'timestamp_too_old /ts'],
    ['a timestamp in 2099', message({ a: 1 }, '2099-01-01T00:00:00Z'), 'timestamp_in_future /ts'],
    [
      'an id that is no string',
      '{"id":5,"ts":1,"metrics":{"a":1}}'.replace('"ts":1', `"ts":${NOW_MS}`),
      'invalid_id /id',
    ],
    [
      'an id of 129 characters',
      JSON.stringify({ id: 'x'.repeat(129), ts: NOW_MS, metrics: { a: 1 } }),
      'invalid_id /id',
    ],
    [
      'an id like those the platform gives',
      JSON.stringify({ id: '~x', ts: NOW_MS, metrics: { a: 1 } }),
      'invalid_id /id',
    ],
    ['no metrics', JSON.stringify({ ts: NOW_MS }), 'missing_metrics /metrics'],
    ['metrics that are an array', message([1]), 'missing_metrics /metrics'],
    ['empty metrics', message({}), 'missing_metrics /metrics'],
    ['1e400', `{"ts":${NOW_MS},"metrics":{"a":1e400}}`, 'not_finite /metrics/a'],
    ['-1e400', `{"ts":${NOW_MS},"metrics":{"a":{"value":-1e400}}}`, 'not_finite /metrics/a'],
    ['a text for a number', message({ a: '5' }), 'invalid_type /metrics/a'],
    ['null for a number', message({ a: null }), 'invalid_type /metrics/a'],
    ['true for a number', message({ a: true }), 'invalid_type /metrics/a'],
    ['an object without value', message({ a: { unit: 'mm/s' } }), 'invalid_type /metrics/a'],
    ['an unknown quality', message({ a: { value: 1, quality: 'fine' } }), 'invalid_quality /metrics/a'],
    ['a unit that is no text', message({ a: { value: 1, unit: 7 } }), 'invalid_unit /metrics/a'],
    ['a unit with a quote', message({ a: { value: 1, unit: '"' } }), 'invalid_unit /metrics/a'],
    [
      'a unit that does not convert',
      message({ velocity_rms: { value: 1, unit: 'Cel' } }),
      'unit_mismatch /metrics/velocity_rms',
    ],
    ['a value outside the limits', message({ temperature: 1000 }), 'out_of_limits /metrics/temperature'],
    [
      'a converted value outside',
      message({ temperature: { value: 900, unit: '[degF]' } }),
      'out_of_limits /metrics/temperature',
    ],
    ['an empty name', message({ '': 1 }), 'invalid_metric_name /metrics/'],
    ['a path for a name', message({ '../../etc/passwd': 1 }), 'invalid_metric_name /metrics/..~1..~1etc~1passwd'],
    ['a name of 65 characters', message({ ['n'.repeat(65)]: 1 }), `invalid_metric_name /metrics/${'n'.repeat(65)}`],
    [
      'a prototype pollution key',
      `{"ts":${NOW_MS},"metrics":{"__proto__":1}}`,
      'invalid_metric_name /metrics/__proto__',
    ],
    [
      'constructor as a name',
      `{"ts":${NOW_MS},"metrics":{"constructor":{"value":1}}}`,
      'invalid_metric_name /metrics/constructor',
    ],
  ])('rejects %s', (_reason, text, expected) => {
    const reading = read(text);
    expect(reading.admitted).toEqual([]);
    expect(codes(reading)).toEqual([expected]);
    expect(reading.rejections.every(({ detail }) => detail.length > 0 && detail.length < 500)).toBe(true);
  });

  it('rejects a message of too many metrics as one item', () => {
    const many = Object.fromEntries(Array.from({ length: MAX_METRICS + 1 }, (_, i) => [`m${i}`, 1]));
    expect(codes(read(message(many)))).toEqual(['too_many_metrics /metrics']);
  });

  it('is not led astray by keys of prototypes', () => {
    const text = `{"__proto__":{"ts":1,"metrics":{"a":1}},"constructor":{},"ts":${NOW_MS},"metrics":{"a":1,"__proto__":{"value":2}}}`;
    const reading = read(text);
    expect(codes(reading)).toEqual(['invalid_metric_name /metrics/__proto__']);
    expect(bodyOf(reading)).toEqual({ ts: NOW_MS, metrics: { a: 1 } });
    expect(({} as Record<string, unknown>)['value']).toBeUndefined();
  });

  it('keeps the good metrics of a partly bad message', () => {
    const reading = read(message({ velocity_rms: 2, temperature: 'hot', rpm: 1797, '..': 1 }));
    expect(reading.admitted).toMatchObject([{ items: 2 }]);
    expect(bodyOf(reading)).toEqual({ ts: NOW_MS, metrics: { velocity_rms: 2, rpm: 1797 } });
    expect(codes(reading)).toEqual(['invalid_type /metrics/temperature', 'invalid_metric_name /metrics/..']);
  });

  it('judges each message of an array by itself', () => {
    const sent = [
      { ts: NOW_MS, metrics: { a: 1 } },
      { ts: 'x', metrics: { a: 1 } },
      { ts: NOW_MS, metrics: { b: 2, c: [] } },
    ];
    const reading = read(JSON.stringify(sent));
    expect(reading.admitted).toMatchObject([
      { index: 0, items: 1 },
      { index: 2, items: 1 },
    ]);
    expect(codes(reading)).toEqual(['invalid_timestamp /1/ts', 'invalid_type /2/metrics/c']);
  });

  it.each([
    [{ value: 212, unit: '[degF]' }, 100],
    [{ value: 373.15, unit: 'K' }, 100],
    [
      { value: 100, unit: 'Cel' },
      { value: 100, unit: 'Cel' },
    ],
    [
      { value: 100, unit: 'degC', quality: 'uncertain' },
      { value: 100, quality: 'uncertain' },
    ],
  ])('stores a temperature of %j as %j', (sent, stored) => {
    const value = bodyOf(read(message({ temperature: sent }))).metrics['temperature'];
    if (typeof value === 'number') expect(value).toBeCloseTo(stored as number, 9);
    else expect(value).toEqual(stored);
  });

  it('accepts any age by import, but no future', () => {
    const imported = { ...RULES, imported: true };
    expect(read(message({ a: 1 }, '2004-02-12T10:32:39Z'), imported).admitted).toHaveLength(1);
    expect(codes(read(message({ a: 1 }, '2099-01-01T00:00:00Z'), imported))).toEqual(['timestamp_in_future /ts']);
  });

  it.each([
    ['exactly at the limit ahead', NOW_MS + 300_000, true],
    ['a millisecond beyond it', NOW_MS + 300_001, false],
    ['exactly of the accepted age', NOW_MS - 7 * 86_400_000, true],
    ['a millisecond older', NOW_MS - 7 * 86_400_000 - 1, false],
  ])('holds the bounds of time: %s', (_case, ts, accepted) => {
    expect(read(message({ a: 1 }, ts)).admitted).toHaveLength(accepted ? 1 : 0);
  });

  it('does not reuse a payload that is mostly white space', () => {
    const reading = read(message({ a: 1 }) + ' '.repeat(300_000));
    expect(reading.admitted[0]?.payload.length).toBeLessThan(100);
  });
});
