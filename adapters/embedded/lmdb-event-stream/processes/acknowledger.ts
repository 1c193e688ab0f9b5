/*
 * A process for tests to kill. It consumes `metrics` for a group and writes each event's id to a file, synced, before it acknowledges it.
 *   node acknowledger.ts <directory> <group> <file of handled ids>
 */
import { DEFAULT_RETENTION } from '../config.ts';
import { LmdbEventStream } from '../lmdb-event-stream.ts';
import { IdListWriter } from '../testing/id-list.ts';

const [directory, group, handled] = process.argv.slice(2) as [string, string, string];
const stream = new LmdbEventStream({
  directory,
  source: 'acknowledger',
  streams: DEFAULT_RETENTION,
  checkpointIntervalMs: 5,
});
const list = new IdListWriter(handled);
await stream.declareGroup('metrics', group);
await stream.subscribe(
  'metrics',
  group,
  async (batch) => {
    list.append(batch.events.map((event) => event.eventId));
    await batch.ack();
  },
  { maxBatchEvents: 50 },
);
