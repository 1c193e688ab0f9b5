import type { After, EventHubsClient, HubConsumer, IncomingEvent, PartitionState } from './client.ts';
import { cloudCall } from '../../cloud-call.ts';
import { codeOfAzureError } from '../azure-errors.ts';

/** What reads a hub without being a group of the platform. */
export interface HubReader {
  readonly client: EventHubsClient;
  readonly hub: string;
  readonly consumerGroup: string;
  readonly timeoutMs: number;
}

/** What of each of the partitions there is. */
export async function partitionStates(
  { client, hub }: HubReader,
  partitions: Iterable<number>,
  signal?: AbortSignal,
): Promise<ReadonlyMap<number, PartitionState>> {
  return new Map(
    await Promise.all(
      Array.from(partitions, async (each) => [each, await client.partition(hub, each, signal)] as const),
    ),
  );
}

/** The first event after the place, of each partition: it must be there. */
export async function eventsAfter(
  reader: HubReader,
  places: ReadonlyMap<number, After>,
  signal?: AbortSignal,
): Promise<ReadonlyMap<number, IncomingEvent>> {
  if (places.size === 0) return new Map();
  const { client, hub, consumerGroup, timeoutMs } = reader;
  const what = `read ${hub} by ${consumerGroup}`;
  return client.withConsumer(hub, consumerGroup, (consumer) =>
    cloudCall({ what, timeoutMs, signal }, codeOfAzureError, async (stopped) => {
      const found = [...places].map(
        async ([each, after]) => [each, await firstAfter(consumer, each, after, stopped)] as const,
      );
      return new Map(await Promise.all(found));
    }),
  );
}

/** How soon an idle receiver is asked again. */
const WAIT_MS = 200;

async function firstAfter(
  consumer: HubConsumer,
  partition: number,
  after: After,
  signal: AbortSignal,
): Promise<IncomingEvent> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingEvent>();
  const receiver = consumer.receive({
    ...{ partition, after, maxEvents: 1, waitMs: WAIT_MS },
    onEvents: async ([first]) => {
      if (first) resolve(first);
    },
    onError: reject,
  });
  const stop = (): void => reject(signal.reason as Error);
  signal.addEventListener('abort', stop, { once: true });
  try {
    const first = await promise;
    await receiver.close();
    return first;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
