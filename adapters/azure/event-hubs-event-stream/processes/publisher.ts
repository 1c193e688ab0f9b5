/*
 * A process to be killed, by tests and `tribo verify`. It publishes events to `metrics`, prints how many are durable as a line, and never says so to other processes.
 *   node publisher.ts <configuration as JSON> <events as JSON>
 */
import { FORGOTTEN_CHECKPOINTS, printPublished } from '#adapters/killed-process.ts';
import { eventHubsEventStreamConfigSchema } from '../config.ts';
import { EventHubsEventStream } from '../event-hubs-event-stream.ts';

const [config, events] = process.argv.slice(2) as [string, string];
const stream = await EventHubsEventStream.open(eventHubsEventStreamConfigSchema.parse(JSON.parse(config)), {
  checkpoints: FORGOTTEN_CHECKPOINTS,
});
await printPublished(stream, events);
