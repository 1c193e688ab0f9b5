import { expect, it } from '@jest/globals';
import { stampedEvent } from '#core/contracts/sample-event.ts';
import { until } from '#core/contracts/until.ts';
import { SettledBefore } from '#core/delivery/settled-before.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { HeldClock } from '#test/support/held-clock.ts';
import type { IncomingEvent, ReceiverOptions } from './client.ts';
import { PartitionDelivery } from './partition-delivery.ts';

const LIMITS = { maxBatchEvents: 10, maxBatchBytes: 10_000, maxHeldEvents: 100, maxHeldBytes: 100_000 };
const LEASE = {
  ...{ partition: 0, position: -1, etag: 'e', owner: 'me', fence: 1, renewals: 0, leaseMs: 10_000 },
  wantedBy: undefined,
};

function incoming(sequenceNumber: number): IncomingEvent {
  return {
    ...{ sequenceNumber, enqueuedAtMs: 0, body: new Uint8Array(10), properties: {} },
    systemProperties: {},
  };
}

it('keeps the order of the partition where its lease was renewed late: who keeps a watermark would take what came behind for settled', async () => {
  const clock = new HeldClock(0);
  const delivered: number[] = [];
  let receiver: ReceiverOptions | undefined;
  let turns = 0;
  const delivery = new PartitionDelivery(
    LEASE,
    0,
    {
      ...{ clock, hub: 'metrics', limits: LIMITS, settled: new SettledBefore(), receiveWaitMs: 100 },
      consumer: {
        receive: (options) => {
          receiver = options;
          return { close: async () => undefined };
        },
        close: async () => undefined,
        abandon: () => undefined,
      },
      decode: ({ sequenceNumber }) =>
        stampedEvent(sequenceNumber + 1, { key: `north/akron/m${sequenceNumber}` as MachineKey }),
      handler: async (batch) => {
        delivered.push(...batch.events.map(({ seq }) => seq));
        await batch.ack();
      },
      onFailure: (error) => {
        throw error;
      },
    },
    {
      closing: new AbortController().signal,
      inTurn: async (work) => {
        turns++;
        await work();
      },
      ended: () => undefined,
      lost: () => undefined,
    },
  );
  await receiver!.onEvents([incoming(0), incoming(1)]);
  await until(() => turns > 0);
  delivery.validUntilMs = Infinity;
  await receiver!.onEvents([incoming(2), incoming(3)]);
  await until(() => delivered.length > 0);
  clock.advance(60_000);
  await receiver!.onEvents([incoming(4)]);
  await until(() => delivered.length === 5);
  expect(delivered).toEqual([1, 2, 3, 4, 5]);
  expect(delivery.settledPosition()).toBe(4);
  await delivery.stop();
});
