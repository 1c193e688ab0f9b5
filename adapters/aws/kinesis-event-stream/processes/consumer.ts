/*
 * A process to be killed, by tests and `tribo verify`. It consumes `metrics` for a group, prints the ids of its first batch as a line of JSON, and never settles it.
 *   node consumer.ts <configuration as JSON> <group>
 */
import { printFirstBatch } from '#adapters/killed-process.ts';
import { kinesisEventStreamConfigSchema } from '../config.ts';
import { KinesisEventStream } from '../kinesis-event-stream.ts';

const [config, group] = process.argv.slice(2) as [string, string];
const stream = await KinesisEventStream.open(kinesisEventStreamConfigSchema.parse(JSON.parse(config)));
await printFirstBatch(stream, group);
