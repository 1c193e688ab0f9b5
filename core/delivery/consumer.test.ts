import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { stampedEvent } from '../contracts/sample-event.ts';
import type { StampedEvent } from '../domain/event.ts';
import type { MachineKey } from '../domain/ids.ts';
import { PortError } from '../errors.ts';
import type { BatchHandler, EventStream } from '../ports/event-stream.ts';
import { runConsumer, type ConsumerOptions } from './consumer.ts';

const FAST = { firstDelayMs: 0, longestDelayMs: 1 };

describe('a consumer', () => {
  it('processes or dead-letters every event, each machine in order, with random failures', async () => {
    const cases = fc.record({
      machines: fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 25 }),
      poison: fc.uniqueArray(fc.nat({ max: 24 }), { maxLength: 5 }),
      away: fc.array(fc.boolean(), { maxLength: 20 }),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ machines, poison, away }) => {
        const events = machines.map(newEvent);
        const isPoison = (event: StampedEvent) => poison.includes(event.seq - 1);
        const done: StampedEvent[] = [];
        const dead: StampedEvent[] = [];
        let calls = 0;
        const acks = await deliver(events, {
          process: async (batch) => {
            if (away[calls++]) throw new PortError('unavailable', 'away');
            if (batch.some(isPoison)) throw new PortError('invalid_argument', 'poison');
            done.push(...batch);
          },
          deadLetter: async (event) => {
            if (away[calls++]) throw new PortError('unavailable', 'away');
            dead.push(event);
          },
        });
        expect(acks).toBe(1);
        expect(dead).toEqual(events.filter(isPoison));
        for (const [key, own] of Map.groupBy(done, (event) => event.key))
          expect(own).toEqual(events.filter((event) => event.key === key && !isPoison(event)));
        expect(done).toHaveLength(events.length - dead.length);
      }),
      { numRuns: 60 },
    );
  });

  it('tries a poison event so often before it is dead-lettered, with its last error', async () => {
    let attempts = 0;
    const errors: unknown[] = [];
    await deliver([newEvent(0, 0)], {
      poisonAttempts: 5,
      process: () => Promise.reject(new PortError('data_loss', `attempt ${++attempts}`)),
      deadLetter: async (_event, error) => void errors.push(error),
    });
    expect(attempts).toBe(5);
    expect(errors).toEqual([expect.objectContaining({ message: 'attempt 5' })]);
  });

  it.each(['processed', 'dead-lettered'] as const)(
    'acknowledges a batch when all of it is %s, and not before',
    async (how) => {
      const settled = Promise.withResolvers<undefined>();
      const began = Promise.withResolvers<undefined>();
      const slow = async () => {
        began.resolve(undefined);
        await settled.promise;
      };
      const acks = { count: 0 };
      const delivery = deliver(
        [newEvent(0, 0)],
        how === 'processed'
          ? { process: slow, deadLetter: async () => undefined }
          : { process: () => Promise.reject(new PortError('data_loss', 'poison')), deadLetter: slow },
        { acks },
      );
      await began.promise;
      expect(acks.count).toBe(0);
      settled.resolve(undefined);
      expect(await delivery).toBe(1);
    },
  );

  it.each(['unavailable', 'deadline_exceeded', 'resource_exhausted', 'permission_denied'] as const)(
    'does not hold against an event that a dependency answers %s',
    async (code) => {
      const dead: StampedEvent[] = [];
      let attempts = 0;
      const acks = await deliver([newEvent(0, 0)], {
        poisonAttempts: 1,
        process: async () => {
          if (++attempts < 5) throw new PortError(code, 'for a while');
        },
        deadLetter: async (event) => void dead.push(event),
      });
      expect({ acks, attempts, dead }).toEqual({ acks: 1, attempts: 5, dead: [] });
    },
  );

  it('acknowledges nothing, and dead-letters nothing, when it is closed while a dependency is away', async () => {
    const closing = new AbortController();
    const dead: StampedEvent[] = [];
    let attempts = 0;
    const delivery = deliver(
      [newEvent(0, 0), newEvent(1, 1)],
      {
        process: () => {
          if (++attempts === 3) closing.abort();
          return Promise.reject(new PortError('unavailable', 'away'));
        },
        deadLetter: async (event) => void dead.push(event),
      },
      { signal: closing.signal },
    );
    await expect(delivery).rejects.toMatchObject({ code: 'cancelled' });
    expect(dead).toEqual([]);
  });
});

/** Hands one batch to a consumer; resolves with how often it was acknowledged. */
async function deliver(
  events: readonly StampedEvent[],
  options: Pick<ConsumerOptions, 'process' | 'deadLetter' | 'poisonAttempts'>,
  {
    signal = new AbortController().signal,
    acks = { count: 0 },
  }: { readonly signal?: AbortSignal; readonly acks?: { count: number } } = {},
): Promise<number> {
  let handled: Promise<void> | undefined;
  const subscribe = async (_stream: unknown, _group: unknown, handler: BatchHandler) => {
    const ack = async () => {
      acks.count += 1;
    };
    handled = handler({ events, redeliveries: 0, ack, nack: async () => undefined }, signal);
    return { close: async () => undefined };
  };
  const stream = { subscribe } as Partial<EventStream> as EventStream;
  const where = { stream, streamName: 'metrics', group: 'store', maxBatchEvents: 100 } as const;
  await runConsumer({ ...where, whileAway: FAST, ...options });
  await handled;
  return acks.count;
}

const newEvent = (machine: number, position: number): StampedEvent =>
  stampedEvent(position + 1, { key: `north/akron/m${machine}` as MachineKey, payload: new Uint8Array(1) });
