/*
 * A process for tests to kill. It consumes `metrics` for a group, prints the ids of its first batch as a line of JSON, and never settles it.
 *   node consumer.ts <settings as JSON> <group>
 */
import { printFirstBatch } from '#test/support/print-first-batch.ts';
import { pubsubEventStreamConfigSchema } from '../config.ts';
import { PubsubEventStream } from '../pubsub-event-stream.ts';

const [settings, group] = process.argv.slice(2) as [string, string];
const stream = await PubsubEventStream.open(pubsubEventStreamConfigSchema.parse(JSON.parse(settings)), {
  // It settles nothing that would have to be kept.
  checkpoints: {
    load: async () => undefined,
    save: async (_name, state, version) => ({ version: version + 1, state }),
  },
});
await printFirstBatch(stream, group);
