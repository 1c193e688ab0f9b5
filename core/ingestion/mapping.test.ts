import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { jsonPath } from './json-path.ts';
import { TopicMapping } from './mapping.ts';

const MODAX = {
  version: 1,
  mappings: [
    {
      topic: 'modax/{device}/sensor_data',
      tenant: 'acme',
      site: 'akron',
      machine: '$.device_id',
      time: '$.timestamp',
      metrics: '$.sensor_data',
      rename: { current_mean: 'current' },
    },
    {
      topic: 'plant/{site}/+/{line}/state',
      tenant: 'acme',
      site: '{site}',
      machine: 'line-{line}',
      id: "$['message id']",
      time: '$.t[0]',
      timeUnit: 's',
      metrics: [
        { name: 'temperature', path: '$.readings.temp', unit: '[degF]' },
        { name: 'rpm', path: '$.readings.rpm' },
      ],
    },
  ],
};

function map(topic: string, payload: unknown) {
  const bytes = Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload));
  const mapped = new TopicMapping(MODAX).map(topic, bytes);
  if (mapped?.content.kind !== 'telemetry') return mapped;
  return { machine: mapped.machine, message: JSON.parse(Buffer.from(mapped.content.payload).toString()) as unknown };
}

describe('a mapping file', () => {
  it('reads a payload with device_id, sensor_data and timestamp', () => {
    const payload = {
      device_id: 'esp-1',
      timestamp: 1_795_222_800_000,
      sensor_data: { current_mean: 4.2, temperature_mean: 61 },
    };
    expect(map('modax/esp-1/sensor_data', payload)).toEqual({
      machine: 'acme/akron/esp-1',
      message: { ts: 1_795_222_800_000, metrics: { current: 4.2, temperature_mean: 61 } },
    });
  });

  it('takes names from the topic, seconds, single metrics and their units', () => {
    const payload = { 'message id': 'm-1', t: [1_795_222_800], readings: { temp: 212 } };
    expect(map('plant/akron/x/7/state', payload)).toEqual({
      machine: 'acme/akron/line-7',
      message: { id: 'm-1', ts: 1_795_222_800_000, metrics: { temperature: { value: 212, unit: '[degF]' } } },
    });
  });

  it.each([
    'modax/esp-1/commands',
    'modax/esp-1',
    'modax/esp-1/sensor_data/x',
    'tribo/v1/acme/akron/esp-1/telemetry',
    '',
  ])('leaves the topic %p alone', (topic) => {
    expect(map(topic, {})).toBeUndefined();
  });

  it.each([
    ['malformed JSON', '{"device_id"', undefined, 'malformed_json'],
    ['no machine', { timestamp: 1, sensor_data: { a: 1 } }, undefined, 'unmapped'],
    ['a path for a machine', { device_id: '../x', sensor_data: { a: 1 } }, undefined, 'unmapped'],
    ['a machine from a prototype', '{"__proto__":{"device_id":"esp-1"},"sensor_data":{"a":1}}', undefined, 'unmapped'],
    ['no metrics', { device_id: 'esp-1', timestamp: 1 }, 'acme/akron/esp-1', 'unmapped'],
    ['metrics that are a list', { device_id: 'esp-1', sensor_data: [1] }, 'acme/akron/esp-1', 'unmapped'],
  ])('says what is wrong with %s', (_reason, payload, machine, code) => {
    const mapped = map('modax/esp-1/sensor_data', payload);
    expect(mapped).toMatchObject({ machine, content: { kind: 'unmapped', ...(code && { rejection: { code } }) } });
  });

  it('hands on a time that is missing or wrong, which the validation then names', () => {
    expect(map('modax/esp-1/sensor_data', { device_id: 'esp-1', sensor_data: { a: 1 } })).toMatchObject({
      message: { metrics: { a: 1 } },
    });
  });

  it('keeps a hostile metric name a name', () => {
    const mapped = new TopicMapping(MODAX).map(
      'modax/esp-1/sensor_data',
      Buffer.from('{"device_id":"esp-1","timestamp":1,"sensor_data":{"__proto__":{"polluted":1},"a":1}}'),
    );
    expect(Buffer.from(mapped?.content.payload ?? []).toString()).toContain('"__proto__":{"polluted":1}');
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  it('never throws, whatever the payload', () => {
    const mapping = new TopicMapping(MODAX);
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((text) => Buffer.from(text)),
        ),
        (payload) => {
          return mapping.map('modax/esp-1/sensor_data', payload) !== undefined;
        },
      ),
    );
  });

  const mapping = MODAX.mappings[0];
  it.each([
    ['another version', { version: 2, mappings: [] }, 'version'],
    ['a path that is none', { version: 1, mappings: [{ ...mapping, time: 'timestamp' }] }, 'mappings.0.time'],
    ['a wildcard for the rest', { version: 1, mappings: [{ ...mapping, topic: 'modax/#' }] }, 'mappings.0.topic'],
    ['a topic of ours', { version: 1, mappings: [{ ...mapping, topic: 'tribo/v1/{x}' }] }, 'mappings.0.topic'],
    ['a key that does not exist', { version: 1, mappings: [{ ...mapping, metricz: 1 }] }, 'mappings.0'],
  ])('is refused with the field that is wrong: %s', (_reason, file, field) => {
    let fields: string[] = [];
    try {
      new TopicMapping(file);
    } catch (error) {
      fields = (error as { issues: { path: (string | number)[] }[] }).issues.map((issue) => issue.path.join('.'));
    }
    expect(fields).toContain(field);
  });
});

describe('a path', () => {
  it.each([
    ['$', { a: 1 }, { a: 1 }],
    ['$.a.b', { a: { b: 2 } }, 2],
    ['$.a[1]', { a: [1, 2] }, 2],
    ["$['a b'].c", { 'a b': { c: 3 } }, 3],
    ['$.a.b', { a: 5 }, undefined],
    ['$.constructor', {}, undefined],
    ['$.length', 'text', undefined],
  ])('%s of %j is %j', (text, document, expected) => {
    expect(jsonPath(text)?.(document)).toEqual(expected);
  });

  it.each(['', 'a', '$.', '$..a', '$.*', '$[x]', '$.a b'])('is not %p', (text) => {
    expect(jsonPath(text)).toBeUndefined();
  });
});
