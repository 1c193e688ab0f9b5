import type { StreamPeer } from './stream-client.ts';

/** By the adapter's name; each loads the SDK of its own provider only. */
export const STREAM_PEERS: Readonly<Record<string, () => Promise<StreamPeer>>> = {
  'lmdb-event-stream': async () => (await import('./lmdb.ts')).lmdbPeer,
  'kafka-event-stream': async () => (await import('./kafka.ts')).kafkaPeer,
  'kinesis-event-stream': async () => (await import('./kinesis.ts')).kinesisPeer,
  'event-hubs-event-stream': async () => (await import('./event-hubs.ts')).eventHubsPeer,
  'pubsub-event-stream': async () => (await import('./pubsub.ts')).pubsubPeer,
};
