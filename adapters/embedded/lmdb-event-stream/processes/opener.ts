/*
 * A process for tests: it opens the log of `metrics` to read and closes it again, as often as told, and says how often it did.
 *   node opener.ts <directory> <times>
 */
import { DEFAULT_RETENTION } from '../config.ts';
import { LmdbEventStream } from '../lmdb-event-stream.ts';

const [directory, times] = process.argv.slice(2) as [string, string];
for (let opened = 0; opened < Number(times); opened++) {
  const stream = new LmdbEventStream({ directory, source: 'opener', streams: DEFAULT_RETENTION });
  await stream.acceptedItems('metrics');
  await stream.close();
}
