import { eventHubsEventStreamConfigSchema } from '#adapters/azure/event-hubs-event-stream/config.ts';
import { EventHubsEventStream } from '#adapters/azure/event-hubs-event-stream/event-hubs-event-stream.ts';
import { laneOf } from '#core/delivery/lanes.ts';
import { EventHubsSite } from '#test/peers/event-hubs-site.ts';
import { checkpointsInFolder } from '#test/support/checkpoints-in-folder.ts';
import { gathering, throughPort, type Place, type StreamClient, type StreamPeer } from './stream-client.ts';

const PARTITIONS = 4;
const GROUP = 'bench';
const BATCH_EVENTS = 1000;
const CHECKPOINT_MS = 10_000;

export const eventHubsPeer: StreamPeer = {
  adapter: 'event-hubs-event-stream',
  notes: `the AMQP peer of the tests, one JavaScript process, with Azurite; ${PARTITIONS} partitions; bare: @azure/event-hubs, full batches by partition, receivers by partition, a checkpoint blob of each every 10 s`,
  pacedPerS: 1000,
  start: async () => {
    const site = await EventHubsSite.start();
    // The site's own are those of tests of faults; these are what the adapter has by default.
    const usual = { timeoutMs: 15_000, receiveWaitMs: 1000, leaseMs: 60_000, checkpointIntervalMs: CHECKPOINT_MS };
    let hub: string | undefined;
    return {
      fresh: () => {
        // What earlier rounds left would weigh on the peer's memory, and so on those that come later.
        if (hub !== undefined) site.hubs.deleteHub(hub);
        const settings = site.settings(PARTITIONS, [GROUP]);
        hub = settings.streams.metrics;
        return Promise.resolve({ ...settings, ...usual });
      },
      [Symbol.asyncDispose]: () => site[Symbol.asyncDispose](),
    };
  },
  openAdapter: async (place) => {
    const checkpoints = await checkpointsInFolder();
    const config = eventHubsEventStreamConfigSchema.parse(place);
    const client = throughPort(await EventHubsEventStream.open(config, { checkpoints: checkpoints.store }));
    return {
      ...client,
      close: async () => {
        await client.close();
        await checkpoints[Symbol.asyncDispose]();
      },
    };
  },
  openBare,
};

async function openBare(place: Place): Promise<StreamClient> {
  const config = eventHubsEventStreamConfigSchema.parse(place);
  const { hubsEmulatorConnectionString: address, streams, emulatorConnectionString, checkpointContainer } = config;
  const { EventHubConsumerClient, EventHubProducerClient } = await import('@azure/event-hubs');
  const { ContainerClient } = await import('@azure/storage-blob');
  const hub = streams.metrics!;
  const producer = new EventHubProducerClient(address!, hub);
  const consumer = new EventHubConsumerClient(GROUP, address!, hub);
  const blobs = new ContainerClient(emulatorConnectionString!, checkpointContainer);
  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => String(partition));
  const sends = partitions.map((partitionId) =>
    gathering<Uint8Array>(Infinity, async (payloads) => {
      for (let sent = 0; sent < payloads.length;) {
        const batch = await producer.createBatch({ partitionId });
        while (sent < payloads.length && batch.tryAdd({ body: payloads[sent]! })) sent++;
        await producer.sendBatch(batch);
      }
    }),
  );
  return {
    declare: () => Promise.resolve(),
    publish: async (events) => {
      const byPartition = Map.groupBy(events, ({ key }) => laneOf(key, PARTITIONS));
      await Promise.all([...byPartition].map(([number, own]) => sends[number]!(own.map(({ payload }) => payload))));
    },
    consume: (take) => {
      for (const partition of partitions) {
        let savedAtMs = performance.now();
        consumer.subscribe(
          partition,
          {
            processEvents: async (events) => {
              for (const { body } of events) take(body as Uint8Array);
              if (events.length === 0 || performance.now() - savedAtMs < CHECKPOINT_MS) return;
              savedAtMs = performance.now();
              const at = String(events.at(-1)!.sequenceNumber);
              await blobs.getBlockBlobClient(`bare/${hub}/${partition}`).upload(at, at.length);
            },
            processError: (error) => Promise.reject(error),
          },
          {
            startPosition: { offset: '-1' },
            ...{ maxBatchSize: BATCH_EVENTS, prefetchCount: BATCH_EVENTS, maxWaitTimeInSeconds: 1 },
            skipParsingBodyAsJson: true,
          },
        );
      }
      return Promise.resolve();
    },
    close: async () => {
      await consumer.close();
      await producer.close();
    },
  };
}
