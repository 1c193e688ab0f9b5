import { LeaseWorker } from '#core/delivery/lease-worker.ts';
import { PortError } from '#core/errors.ts';
import type { Subscription } from '#core/ports/event-stream.ts';
import { orStopWaiting } from '#core/stop-waiting.ts';
import type { EventHubsClient } from './client.ts';
import { PartitionDelivery, type PartitionDeliveryParts } from './partition-delivery.ts';
import type { PartitionLease, PartitionLeases } from './partition-leases.ts';

interface GroupLeases {
  readonly leases: PartitionLeases;
  readonly leaseMs: number;
  readonly checkpointIntervalMs: number;
}

/** Reads the partitions that are leased, shared with the other members of the group. Its end closes the consumer, too. */
export function subscribeToPartitions(
  parts: PartitionDeliveryParts,
  { leases, leaseMs, checkpointIntervalMs }: GroupLeases,
): Subscription {
  const { clock, consumer, onFailure } = parts;
  const worker = new LeaseWorker<PartitionLease, number>({
    ...{ clock, leases, leaseMs, checkpointIntervalMs, onFailure },
    nameOf: ({ partition }) => String(partition),
    positionOf: ({ position }) => position,
    isSame: (left, right) => left === right,
    deliver: (lease, validUntilMs, side) => new PartitionDelivery(lease, validUntilMs, parts, side),
  });
  return {
    close: async () => {
      await worker.close();
      await consumer.close();
    },
  };
}

/** So long a receiver that only shows whether there is such a consumer group waits for events. */
const PROBE_MS = 100;

/**
 * Event Hubs answers what has no consumer group only where that is read, and makes one only by the control plane.
 * @throws PortError not_found where there is no such hub.
 */
export async function hasConsumerGroup(
  client: EventHubsClient,
  hub: string,
  consumerGroup: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const consumer = client.openConsumer(hub, consumerGroup);
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const receiver = consumer.receive({
    ...{ partition: 0, after: 'end', maxEvents: 1, waitMs: PROBE_MS },
    onEvents: async () => resolve(undefined),
    // Somebody reads by it.
    onError: (error, isTaken) => (isTaken ? resolve(undefined) : reject(error)),
  });
  try {
    await orStopWaiting(promise, signal);
    return true;
  } catch (error) {
    if (!(error instanceof PortError) || error.code !== 'not_found') throw error;
    // Without the hub it is that which is not found.
    await client.partitionCount(hub, signal);
    return false;
  } finally {
    await receiver.close();
    await consumer.close();
  }
}
