import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { sampleEvent } from '#core/contracts/sample-event.ts';
import type { EventKind, MachineEvent, StampedEvent } from '#core/domain/event.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { checkEncodable, decodeFrame, FrameBuilder, readFrameHeader } from './frame-codec.ts';

const KINDS: readonly EventKind[] = [
  'telemetry',
  'waveform',
  'rejection',
  'duplicate',
  'features',
  'prediction',
  'alarm',
];

const events: fc.Arbitrary<MachineEvent[]> = fc.array(
  fc.record(
    {
      eventId: fc.string({ unit: 'grapheme', maxLength: 40 }),
      kind: fc.constantFrom(...KINDS),
      key: fc.constantFrom('north/akron/m1', 'north/akron/m2', 'süd/akron/m1', 'no-slash') as fc.Arbitrary<MachineKey>,
      items: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      acceptedAtMs: fc.integer({ min: 0, max: 4e12 }),
      payload: fc.uint8Array({ maxLength: 3000 }),
      verifyStored: fc.constant(true),
      imported: fc.constant(true),
      traceparent: fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 55 }),
    },
    { requiredKeys: ['eventId', 'kind', 'key', 'items', 'acceptedAtMs', 'payload'] },
  ),
  { maxLength: 30 },
);

const stamp = { source: 'intake', epoch: 1_795_222_800_000, firstSeq: 41, committedAtMs: 7 };

describe('frame codec', () => {
  it('gives back what was encoded, stamped, whatever the builder held before', () => {
    const builder = new FrameBuilder(16);
    fc.assert(
      fc.property(events, (published) => {
        builder.reset();
        for (const event of published) builder.append(event);
        const before = new Map([['north', 1000]]);
        const frame = Buffer.from(builder.seal({ ...stamp, itemsBefore: (tenant) => before.get(tenant) ?? 5 }));
        expect(decodeFrame(frame).map(comparable)).toEqual(stamped(published, before, 5).map(comparable));
      }),
    );
  });

  it('can be sealed again with another stamp', () => {
    const builder = new FrameBuilder(16);
    builder.append(sampleEvent('e', { items: 3, acceptedAtMs: 9 }));
    builder.seal({ ...stamp, itemsBefore: () => 10 });
    const frame = builder.seal({ ...stamp, source: 'another and longer source', firstSeq: 77, itemsBefore: () => 20 });
    expect(decodeFrame(frame)).toMatchObject([{ seq: 77, source: 'another and longer source', cumulativeItems: 23 }]);
    expect(readFrameHeader(frame)).toEqual({
      count: 1,
      epoch: stamp.epoch,
      firstSeq: 77,
      committedAtMs: 7,
      newestAcceptedAtMs: 9,
    });
  });

  it.each([
    ['an event id above 1024 bytes', { eventId: 'é'.repeat(513) }],
    ['negative items', { items: -1 }],
    ['fractional items', { items: 0.5 }],
    ['a traceparent above 255 characters', { traceparent: 'x'.repeat(256) }],
    ['a key above 1024 bytes', { key: 'k'.repeat(1025) as MachineKey }],
  ])('refuses %s', (_reason, flaw) => {
    const event = sampleEvent('e');
    expect(() => checkEncodable(event)).not.toThrow();
    expect(() => checkEncodable({ ...event, ...flaw })).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  });

  it('calls a record that is no frame a loss of data', () => {
    expect(() => decodeFrame(Buffer.alloc(100))).toThrow(expect.objectContaining({ code: 'data_loss' }));
  });
});

function stamped(published: readonly MachineEvent[], before: ReadonlyMap<string, number>, otherwise: number) {
  const items = new Map<string, number>();
  return published.map((event, index): StampedEvent => {
    const tenant = event.key.split('/')[0]!;
    const cumulativeItems = (items.get(tenant) ?? before.get(tenant) ?? otherwise) + event.items;
    items.set(tenant, cumulativeItems);
    return { ...event, source: stamp.source, epoch: stamp.epoch, seq: stamp.firstSeq + index, cumulativeItems };
  });
}

function comparable(event: StampedEvent): unknown {
  return { ...event, payload: Array.from(event.payload) };
}
