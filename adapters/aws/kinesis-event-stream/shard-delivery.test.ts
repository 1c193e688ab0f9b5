import { expect, it } from '@jest/globals';
import { stampedEvent } from '#core/contracts/sample-event.ts';
import { until } from '#core/contracts/until.ts';
import { SettledBefore } from '#core/delivery/settled-before.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';
import { HeldClock } from '#test/support/held-clock.ts';
import { ShardDelivery } from './shard-delivery.ts';

/** Of payloads three fit; with what is added to each where it is given back, two. */
const LIMITS = { maxBatchEvents: 10, maxBatchBytes: 500, maxHeldEvents: 100, maxHeldBytes: 100_000 };
const LEASE = {
  ...{ shard: 'shard-0', position: undefined, parents: [], isEnded: false },
  ...{ owner: 'me', fence: 1, renewals: 0, leaseMs: 10_000, wantedBy: undefined },
};

it('keeps the order of the shard where its lease was renewed late: who keeps a watermark would take what came behind for settled', async () => {
  const clock = new HeldClock(0);
  const delivered: number[] = [];
  const machines = ['m1', 'm2', 'm1'];
  let turns = 0;
  const delivery = new ShardDelivery(LEASE, Infinity, {
    ...{ clock, limits: LIMITS, settled: new SettledBefore(), pollMs: 5, closing: new AbortController().signal },
    iterator: async () => 'iterator',
    read: async () => ({
      records: [{ sequenceNumber: '1', data: new Uint8Array() }],
      // All is read at once, and nothing will be added.
      next: undefined,
    }),
    decode: () => machines.map((machine, at) => stampedEvent(at + 1, { key: `north/akron/${machine}` as MachineKey })),
    handler: async (batch) => {
      delivered.push(...batch.events.map(({ seq }) => seq));
      await batch.ack();
    },
    inTurn: async (work) => {
      // As if the turn before had taken longer than the lease.
      if (++turns === 1) delivery.validUntilMs = 0;
      await work();
      delivery.validUntilMs = Infinity;
    },
    onEnded: () => undefined,
    onFailure: (error) => {
      throw error;
    },
  });
  await until(() => delivered.length === 3);
  expect(delivered).toEqual([1, 2, 3]);
  expect(turns).toBe(2);
  await delivery.stop();
});

it('tells of reads that are throttled, as by too many groups, and reads on from the same place', async () => {
  const clock = new HeldClock(0);
  const told: unknown[] = [];
  const delivered: number[] = [];
  const asked: string[] = [];
  const throttled = new PortError('resource_exhausted', 'read metrics: Rate exceeded for shard');
  const delivery = new ShardDelivery(LEASE, Infinity, {
    ...{ clock, limits: LIMITS, settled: new SettledBefore(), pollMs: 5, closing: new AbortController().signal },
    iterator: async () => `iterator ${asked.length}`,
    read: async (iterator) => {
      asked.push(iterator);
      clock.advance(5);
      if (asked.length < 3) throw throttled;
      return { records: [{ sequenceNumber: '1', data: new Uint8Array() }], next: undefined };
    },
    decode: () => [stampedEvent(1)],
    handler: async (batch) => {
      delivered.push(...batch.events.map(({ seq }) => seq));
      await batch.ack();
    },
    inTurn: (work) => work(),
    onEnded: () => undefined,
    onFailure: (error) => told.push(error),
  });
  await until(() => delivered.length === 1);
  expect(asked).toEqual(['iterator 0', 'iterator 0', 'iterator 0']);
  expect(told).toEqual([throttled, throttled]);
  await delivery.stop();
});
