import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { stampedEvent } from '../contracts/sample-event.ts';
import type { StampedEvent } from '../domain/event.ts';
import type { MachineKey } from '../domain/ids.ts';
import { PortError } from '../errors.ts';
import type { BatchHandler, EventStream } from '../ports/event-stream.ts';
import { deliverBatch } from './deliver-batch.ts';
import { DeliveryWindow } from './delivery-window.ts';
import { NOTHING_ASKED, runConsumer, type ConsumerOptions } from './consumer.ts';

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

  it('subscribes again where the connection broke as it did', async () => {
    let attempts = 0;
    const subscribe = async () => {
      if (++attempts === 1) throw new PortError('unavailable', 'read ECONNRESET');
      return { close: async () => undefined };
    };
    const stream = { subscribe } as Partial<EventStream> as EventStream;
    const nothing = async () => undefined;
    await runConsumer({
      ...{ stream, streamName: 'metrics', group: 'store', maxBatchEvents: 100 },
      ...{ process: nothing, deadLetter: nothing },
    });
    expect(attempts).toBe(2);
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

describe('a consumer that sets aside what is forbidden', () => {
  const forbidden = new PortError('permission_denied', 'not this one');

  it('gives up an event that alone is forbidden, after its machine has waited behind it and the others went on', async () => {
    const events = Array.from({ length: 80 }, (_, position) => newEvent(position % 4, position));
    const [isForbidden, done, dead] = [events[8]!, [] as StampedEvent[], [] as StampedEvent[]];
    let doneAtDeath: readonly StampedEvent[] = [];
    await deliverAgain(events, 3, {
      process: async (batch) => {
        if (batch.includes(isForbidden)) throw forbidden;
        done.push(...batch);
      },
      deadLetter: async (event) => {
        dead.push(event);
        doneAtDeath = [...done];
      },
    });
    expect(dead).toEqual([isForbidden]);
    const isOfItsMachine = ({ key }: StampedEvent) => key === isForbidden.key;
    expect(doneAtDeath.filter(isOfItsMachine)).toEqual([events[0], events[4]]);
    expect(doneAtDeath.filter((event) => !isOfItsMachine(event)).length).toBeGreaterThan(50);
    for (const [key, own] of Map.groupBy(done, (event) => event.key))
      expect(own).toEqual(events.filter((event) => event.key === key && event !== isForbidden));
  });

  it('waits while all is forbidden, however long, with few attempts, and goes on by itself', async () => {
    const events = Array.from({ length: 500 }, (_, position) => newEvent(position % 50, position));
    const [done, dead]: StampedEvent[][] = [[], []];
    let attempts = 0;
    const rounds = await deliverAgain(events, 500, {
      process: async (batch) => {
        if (++attempts <= 2000) throw forbidden;
        done!.push(...batch);
      },
      deadLetter: async (event) => void dead!.push(event),
    });
    expect(dead).toEqual([]);
    expect(attempts / rounds).toBeLessThan(60);
    for (const [key, own] of Map.groupBy(done!, (event) => event.key))
      expect(own).toEqual(events.filter((event) => event.key === key));
    expect(done).toHaveLength(500);
  });

  it('waits also while others go through that ask for nothing', async () => {
    const waiting = newEvent(1, 0);
    const events = [waiting, ...Array.from({ length: 200 }, (_, i) => newEvent(0, i + 1))];
    const [done, dead]: StampedEvent[][] = [[], []];
    let attempts = 0;
    await deliverAgain(events, 3, {
      process: async (batch) => {
        const asks = batch.includes(waiting);
        if (asks && ++attempts <= 60) throw forbidden;
        done!.push(...batch);
        return asks ? undefined : NOTHING_ASKED;
      },
      deadLetter: async (event) => void dead!.push(event),
    });
    expect(dead).toEqual([]);
    expect(done).toHaveLength(events.length);
  });
});

/** Hands the events to a consumer in batches, as a stream does: what is not settled comes again, in turn with what is new. Resolves with the number of batches. */
async function deliverAgain(
  events: readonly StampedEvent[],
  maxBatchEvents: number,
  options: Pick<ConsumerOptions, 'process' | 'deadLetter'>,
): Promise<number> {
  const limits = { maxBatchEvents, maxBatchBytes: 1e6, maxHeldEvents: 1000, maxHeldBytes: 1e6 };
  const window = new DeliveryWindow(limits);
  const lane = window.addLane(0);
  const clock = { nowMs: () => 0, monotonicMs: () => 0 };
  let read = 0;
  const takeNew = () => {
    for (let count = 0; count < maxBatchEvents && read < events.length; count++, read++)
      window.accept(lane, read, events[read]!);
    return window.takeFresh();
  };
  let handler: BatchHandler = () => Promise.reject(new Error('nobody has subscribed'));
  const subscribe = async (_stream: unknown, _group: unknown, given: BatchHandler) => {
    handler = given;
    return { close: async () => undefined };
  };
  const stream = { subscribe } as Partial<EventStream> as EventStream;
  const where = { stream, streamName: 'features', group: 'judge', maxBatchEvents } as const;
  await runConsumer({ ...where, whileAway: FAST, setsForbiddenAside: true, ...options });
  const { signal } = new AbortController();
  let rounds = 0;
  while (read < events.length || window.heldEvents > 0) {
    const takeDue = () => window.takeDue(Infinity);
    const batch = ++rounds % 2 === 0 ? (takeDue() ?? takeNew()) : (takeNew() ?? takeDue());
    if (batch) await deliverBatch(batch, { window, handler, clock, signal, onSettled: () => undefined });
  }
  return rounds;
}

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
