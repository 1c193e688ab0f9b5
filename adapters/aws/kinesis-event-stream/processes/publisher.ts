/*
 * A process to be killed, by tests and `tribo verify`. It publishes events to `metrics`, and prints how many are durable as a line.
 *   node publisher.ts <configuration as JSON> <events as JSON>
 */
import { printPublished } from '#adapters/killed-process.ts';
import { kinesisEventStreamConfigSchema } from '../config.ts';
import { KinesisEventStream } from '../kinesis-event-stream.ts';

const [config, events] = process.argv.slice(2) as [string, string];
const stream = await KinesisEventStream.open(kinesisEventStreamConfigSchema.parse(JSON.parse(config)));
await printPublished(stream, events);
