import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { stampedEvent } from '../contracts/sample-event.ts';
import type { EventKind, StampedEvent } from '../domain/event.ts';
import type { MachineKey } from '../domain/ids.ts';
import { settlementOutcome, settlementOutcomes } from './outcomes.ts';

const T0 = Date.UTC(2026, 0, 15);
const reference = {
  waveformId: 'w1',
  sensor: 'de',
  ts: T0,
  sampleRateHz: 25_600,
  unit: 'g',
  encoding: 'f32le',
  scale: 1,
  sampleCount: 4096,
  objectKey: 'waveforms/w1',
  sha256: 'ab',
};
const features = { kind: 'features', id: 'f1', revision: 1, ts: T0, values: { rms: 2.3 }, body: { any: 'thing' } };

function event(kind: EventKind, items: number, payload: unknown): StampedEvent {
  return stampedEvent(1, {
    ...{ kind, items, acceptedAtMs: T0, key: 'acme/akron/press-7' as MachineKey },
    payload: payload instanceof Uint8Array ? payload : new TextEncoder().encode(JSON.stringify(payload)),
  });
}

describe('settlement', () => {
  it('turns telemetry into readings, in its order, with unit and quality where they are stated', () => {
    const metrics = { rpm: 1797, temperature: { value: 61.2, unit: 'Cel', quality: 'uncertain' }, count: { value: 0 } };
    const telemetry = event('telemetry', 3, { ts: T0, metrics });
    expect(settlementOutcome(telemetry)).toEqual({
      type: 'readings',
      event: telemetry,
      ts: T0,
      readings: [
        { metric: 'rpm', value: 1797 },
        { metric: 'temperature', value: 61.2, unit: 'Cel', quality: 'uncertain' },
        { metric: 'count', value: 0 },
      ],
    });
  });

  it.each([
    ['a waveform reference', event('waveform', 1, reference), { type: 'waveform', waveform: reference }],
    ['a duplicate', event('duplicate', 4, new Uint8Array()), { type: 'duplicate' }],
    [
      'a rejection',
      event('rejection', 1, [{ code: 'not_finite', pointer: '/metrics/a', detail: 'NaN' }]),
      { type: 'rejected', rejections: [{ code: 'not_finite', pointer: '/metrics/a', detail: 'NaN' }] },
    ],
    ['a feature vector', event('features', 0, features), { type: 'document', document: features }],
    [
      'a window of a metric',
      event('features', 0, { ...features, kind: 'window' }),
      { type: 'document', document: { ...features, kind: 'window' } },
    ],
    [
      'a prediction',
      event('prediction', 0, { ...features, kind: 'prediction' }),
      { type: 'document', document: { ...features, kind: 'prediction' } },
    ],
  ])('settles %s', (_what, stamped, expected) => {
    expect(settlementOutcome(stamped)).toEqual({ ...expected, event: stamped });
  });

  it.each([
    ['no JSON', event('telemetry', 1, new TextEncoder().encode('{"ts":')), 'undecodable_payload'],
    ['an empty payload', event('telemetry', 1, new Uint8Array()), 'undecodable_payload'],
    ['JSON that is no object', event('telemetry', 1, null), 'undecodable_payload'],
    ['telemetry without a time', event('telemetry', 1, { metrics: { a: 1 } }), 'undecodable_payload'],
    ['a time before 1970', event('telemetry', 1, { ts: -1, metrics: { a: 1 } }), 'undecodable_payload'],
    ['a time with fractions', event('telemetry', 1, { ts: 0.5, metrics: { a: 1 } }), 'undecodable_payload'],
    ['a time beyond 2199', event('telemetry', 1, { ts: 8e12, metrics: { a: 1 } }), 'undecodable_payload'],
    ['a value that is text', event('telemetry', 1, { ts: T0, metrics: { a: '1' } }), 'undecodable_payload'],
    [
      'a value beyond a double',
      event('telemetry', 1, new TextEncoder().encode(`{"ts":${T0},"metrics":{"a":1e400}}`)),
      'undecodable_payload',
    ],
    [
      'an unknown quality',
      event('telemetry', 1, { ts: T0, metrics: { a: { value: 1, quality: 'fine' } } }),
      'undecodable_payload',
    ],
    [
      'a unit that is no text',
      event('telemetry', 1, { ts: T0, metrics: { a: { value: 1, unit: 3 } } }),
      'undecodable_payload',
    ],
    ['fewer readings than it counts', event('telemetry', 2, { ts: T0, metrics: { a: 1 } }), 'item_count_mismatch'],
    [
      'more rejections than it counts',
      event('rejection', 0, [{ code: 'a', pointer: '', detail: '' }]),
      'item_count_mismatch',
    ],
    ['a waveform that counts two items', event('waveform', 2, reference), 'item_count_mismatch'],
    ['a waveform without its object', event('waveform', 1, { ...reference, objectKey: '' }), 'undecodable_payload'],
    ['a waveform of zero sample rate', event('waveform', 1, { ...reference, sampleRateHz: 0 }), 'undecodable_payload'],
    [
      'a waveform in an unknown encoding',
      event('waveform', 1, { ...reference, encoding: 'toString' }),
      'undecodable_payload',
    ],
    ['features of no document kind', event('features', 0, { ...features, kind: 'prediction' }), 'undecodable_payload'],
    [
      'features with a value that is no number',
      event('features', 0, { ...features, values: { rms: null } }),
      'undecodable_payload',
    ],
    ['an alarm', event('alarm', 0, {}), 'unsupported_kind'],
  ])('dead-letters %s', (_what, stamped, code) => {
    expect(settlementOutcome(stamped)).toMatchObject({ type: 'deadLettered', code, event: stamped });
  });

  it('keeps a metric whose name means something to JavaScript as a metric', () => {
    const payload = new TextEncoder().encode(`{"ts":${T0},"metrics":{"__proto__":1,"constructor":2}}`);
    expect(settlementOutcome(event('telemetry', 2, payload))).toMatchObject({
      readings: [
        { metric: '__proto__', value: 1 },
        { metric: 'constructor', value: 2 },
      ],
    });
  });

  it('has one outcome an event, whatever the bytes', () => {
    const kinds = fc.constantFrom<EventKind>('telemetry', 'waveform', 'rejection', 'features', 'prediction', 'alarm');
    const payload = fc.oneof(fc.uint8Array({ maxLength: 50 }), fc.jsonValue());
    const events = fc.array(
      fc.tuple(kinds, fc.nat(3), payload).map(([kind, items, body]) => event(kind, items, body)),
      { maxLength: 10 },
    );
    fc.assert(
      fc.property(events, (stamped) => {
        expect(settlementOutcomes(stamped).map((outcome) => outcome.event)).toEqual(stamped);
      }),
    );
  });
});
