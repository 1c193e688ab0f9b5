/*
 * A process to be killed, by tests and `tribo verify`. It consumes `metrics` for a group, prints the ids of its first batch as a line of JSON, and never settles it.
 *   node consumer.ts <configuration as its schema gives it, as JSON> <group>
 */
import { FORGOTTEN_CHECKPOINTS, printFirstBatch } from '#adapters/killed-process.ts';
import type { KafkaEventStreamConfig } from '../config.ts';
import { KafkaEventStream } from '../kafka-event-stream.ts';

const [config, group] = process.argv.slice(2) as [string, string];
const stream = await KafkaEventStream.open(JSON.parse(config) as KafkaEventStreamConfig, {
  checkpoints: FORGOTTEN_CHECKPOINTS,
});
await printFirstBatch(stream, group);
