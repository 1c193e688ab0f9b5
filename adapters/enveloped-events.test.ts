import assert from 'node:assert/strict';
import { describe, test } from '@jest/globals';
import fc from 'fast-check';
import type { MachineEvent } from '#core/domain/event.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { decodeEvent, encodeEvents } from './enveloped-events.ts';

const KEY = 'acme/hall-1/press-7' as MachineKey;
const count = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const event = fc.record(
  {
    eventId: fc.string({ unit: 'binary' }),
    kind: fc.constantFrom('telemetry', 'waveform', 'duplicate'),
    key: fc.constantFrom(KEY, 'acme/hall-1/"\n' as MachineKey),
    items: count,
    acceptedAtMs: count,
    payload: fc.uint8Array({ maxLength: 40 }),
    verifyStored: fc.constant(true as const),
    imported: fc.constant(true as const),
    traceparent: fc.string(),
  },
  { requiredKeys: ['eventId', 'kind', 'key', 'items', 'acceptedAtMs', 'payload'] },
) satisfies fc.Arbitrary<MachineEvent>;
const stamp = fc.record({ source: fc.string(), epoch: count, seq: count, cumulativeItems: count });
const records = fc.array(fc.record({ event, stamp, place: fc.constant({ partition: 0 }) }), { maxLength: 5 });

describe.each([true, false])('events as values, with the key in them: %s', (withKey) => {
  test('come back as they were', () => {
    fc.assert(
      fc.property(records, (given) => {
        const values = encodeEvents(given, { withKey });
        const decoded = values.map((value, i) => decodeEvent(value, withKey ? undefined : given[i]!.event.key, String));
        const expected = given.map((each) => ({
          ...{ ...each.event, ...each.stamp, part: `${each.stamp.source}/${each.stamp.epoch}` },
          payload: Buffer.from(each.event.payload),
        }));
        assert.deepEqual(decoded, expected);
      }),
    );
  });

  test('keep nothing of what they came in', () => {
    const given = fc.sample(fc.record({ event, stamp, place: fc.constant({ partition: 0 }) }), 1);
    const [value] = encodeEvents(given, { withKey });
    const { payload } = decodeEvent(value!, KEY, String);
    value!.fill(0);
    assert.deepEqual(payload, Buffer.from(given[0]!.event.payload));
  });
});

test('an event that an earlier version wrote is counted of its partition', () => {
  const value = Buffer.from('["tribo-2","e-1","telemetry",3,17,"kafka-1a2b3c4d/5",9,2,6,1]\n{}');
  const { part, source, epoch, seq, cumulativeItems, verifyStored } = decodeEvent(value, KEY, String);
  assert.deepEqual([part, source, epoch, seq, cumulativeItems, verifyStored], ['5', 'kafka-1a2b3c4d/5', 9, 2, 6, true]);
});

test.each([
  ['nothing', null],
  ['an empty value', Buffer.alloc(0)],
  ["somebody else's JSON", Buffer.from('{"temperature": 21}\n')],
  ['another layout', Buffer.from('["tribo-3","e",1]\n{}')],
  ['a line without an end', Buffer.from('["tribo-2","e","telemetry",1')],
])('%s is data_loss, which says what it was', (_, value) => {
  assert.throws(() => decodeEvent(value, KEY, () => 'the record at offset 7'), {
    code: 'data_loss',
    message: /^the record at offset 7 was not written by this version of Tribo/,
  });
});
