import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { sampleEvent } from '#core/contracts/sample-event.ts';
import type { PublishedEpoch } from '#core/delivery/accounts/stream-accounts.ts';
import { MAX_EVENT_BYTES } from '#core/domain/event.ts';
import { codeOf, PortError } from '#core/errors.ts';
import type { OutgoingMessage } from './client.ts';
import { decode, encode } from './envelope.ts';
import { Lane, type LaneParts } from './lane.ts';

const clock = { nowMs: () => 1_795_222_800_000, monotonicMs: () => 0 };
const eventOf = (id: string, bytes = 10) => sampleEvent(id, { payload: new Uint8Array(bytes) });

function laneThat(send: LaneParts['send'], given: Partial<LaneParts> = {}): Lane {
  return new Lane({
    ...{ source: 'edge-1/0', clock, firstEpoch: 1, gatherMs: 0, published: () => undefined, send },
    ...given,
  });
}

describe('a lane', () => {
  it('never gives one number to two events, and leaves no hole, whatever fails', async () => {
    const outcome = fc.constantFrom('sent', 'refused', 'lost before it came', 'answer lost');
    await fc.assert(
      fc.asyncProperty(fc.array(outcome, { maxLength: 30 }), async (outcomes) => {
        const durable: OutgoingMessage[] = [];
        let next = 0;
        const said = new Map<number, PublishedEpoch>();
        const send = async (messages: readonly OutgoingMessage[]) => {
          const happens = outcomes[next++];
          if (happens === 'sent' || happens === 'answer lost') durable.push(...messages);
          if (happens === 'refused') throw new PortError('resource_exhausted', 'quota');
          if (happens !== 'sent') throw new PortError('unavailable', 'reset');
        };
        const lane = laneThat(send, { published: (each) => said.set(each.epoch, each) });
        for (const index of outcomes.keys()) await lane.publish([eventOf(`a-${index}`), eventOf(`b-${index}`)]);
        const byEpoch = Map.groupBy(durable.map(decode), ({ epoch }) => epoch);
        for (const [epoch, events] of byEpoch) {
          const numbers = [...events.keys()].map((at) => at + 1);
          expect(events.map(({ seq }) => seq)).toEqual(numbers);
          expect(events.map(({ cumulativeItems }) => cumulativeItems)).toEqual(numbers);
          // What was said is durable; what lost its answer is durable and not said.
          const { seq = 0, items = new Map<string, number>() } = said.get(epoch) ?? {};
          expect([seq, seq + 2]).toContain(events.length);
          expect(items.get('north') ?? 0).toBe(seq);
        }
      }),
    );
  });

  it('says how many of the events became durable before one request failed', async () => {
    const sizes: number[] = [];
    const lane = laneThat(async (messages) => {
      if (sizes.length === 2) throw new PortError('unavailable', 'reset');
      sizes.push(messages.length);
    });
    const { durable, error } = await lane.publish(Array.from({ length: 2500 }, (_, at) => eventOf(String(at))));
    expect({ durable, sizes }).toEqual({ durable: 2000, sizes: [1000, 1000] });
    expect(error).toMatchObject({ code: 'unavailable' });
  });

  it('sends no more bytes at a time than a request may have, one request after another', async () => {
    const sizes: number[] = [];
    let running = 0;
    const lane = laneThat(async (messages) => {
      expect(++running).toBe(1);
      await new Promise((resolve) => setImmediate(resolve));
      sizes.push(messages.length);
      running--;
    });
    const large = Array.from({ length: 12 }, (_, at) => eventOf(String(at), MAX_EVENT_BYTES));
    await Promise.all([lane.publish(large), lane.publish(large.slice(0, 1))]);
    expect(sizes).toEqual([9, 4]);
  });

  it('fails what waits behind a request that failed, which would overtake it', async () => {
    const sent: string[] = [];
    const lane = laneThat(async (messages) => {
      await new Promise((resolve) => setImmediate(resolve));
      if (sent.length === 0) {
        sent.push('refused');
        throw new PortError('permission_denied', 'the token has expired');
      }
      sent.push(...messages.map((message) => decode(message).eventId));
    });
    const first = lane.publish([eventOf('a')]);
    const second = lane.publish([eventOf('b')]);
    expect(await first).toMatchObject({ durable: 0, error: { code: 'permission_denied' } });
    expect(await second).toMatchObject({
      durable: 0,
      error: { code: 'unavailable', message: expect.stringContaining('the token has expired') },
    });
    expect(await Promise.all([lane.publish([eventOf('a')]), lane.publish([eventOf('b')])])).toEqual([
      { durable: 1 },
      { durable: 1 },
    ]);
    expect(sent).toEqual(['refused', 'a', 'b']);
  });

  it('waits a moment for more before it begins to send', async () => {
    const sizes: number[] = [];
    const lane = laneThat(async (messages) => void sizes.push(messages.length), { gatherMs: 1 });
    const first = lane.publish([eventOf('a')]);
    await Promise.resolve();
    await Promise.all([first, lane.publish([eventOf('b')])]);
    expect(sizes).toEqual([2]);
  });

  it('sends together what came while a request was under way, and tells each call what became of its own', async () => {
    const sizes: number[] = [];
    const lane = laneThat(async (messages) => {
      await new Promise((resolve) => setImmediate(resolve));
      sizes.push(messages.length);
      if (sizes.length === 3) throw new PortError('resource_exhausted', 'quota');
    });
    const calls = [1, 600, 500, 20, 3].map((count) =>
      lane.publish(Array.from({ length: count }, (_, at) => eventOf(`${count}-${at}`))),
    );
    await calls[0];
    const last = calls.at(-1)!.then(() => lane.publish([eventOf('after')]));
    const outcomes = (await Promise.all([...calls, last])).map(({ durable, error }) => [
      durable,
      error === undefined ? 'sent' : codeOf(error),
    ]);
    expect(sizes).toEqual([1, 1000, 123, 1]);
    expect(outcomes).toEqual([
      [1, 'sent'],
      [600, 'sent'],
      [400, 'resource_exhausted'],
      [0, 'resource_exhausted'],
      [0, 'resource_exhausted'],
      [1, 'sent'],
    ]);
  });
});

describe('the envelope', () => {
  const stamp = { source: 'edge-1/0', epoch: 7, seq: 3, cumulativeItems: 12 };

  it.each([
    ['plain', {}],
    ['with all that may be', { verifyStored: true, imported: true, traceparent: '00-1-2-01' }],
  ])('brings back an event, %s', (_what, given) => {
    const event = sampleEvent('e-1', given);
    expect(decode(encode(event, stamp))).toEqual({ ...event, ...stamp, part: 'edge-1/0/7' });
  });

  it('is not taken of what others published', () => {
    expect(() => decode({ data: new Uint8Array(), attributes: {} })).toThrow(/none of a stream of Tribo/);
    const { data, attributes } = encode(sampleEvent('e-1'), stamp);
    expect(() => decode({ data, attributes: { ...attributes, seq: 'x' } })).toThrow('seq must be an integer, got x');
  });
});
