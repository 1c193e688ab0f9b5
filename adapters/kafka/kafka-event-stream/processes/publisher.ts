/*
 * A process to be killed, by tests and `tribo verify`. It publishes events to `metrics`, prints how many are durable as a line, and never says so to other processes.
 *   node publisher.ts <configuration as its schema gives it, as JSON> <events as JSON>
 */
import { FORGOTTEN_CHECKPOINTS, printPublished } from '#adapters/killed-process.ts';
import type { KafkaEventStreamConfig } from '../config.ts';
import { KafkaEventStream } from '../kafka-event-stream.ts';

const [config, events] = process.argv.slice(2) as [string, string];
const stream = await KafkaEventStream.open(JSON.parse(config) as KafkaEventStreamConfig, {
  checkpoints: FORGOTTEN_CHECKPOINTS,
});
await printPublished(stream, events);
