/*
 * A process for tests: it opens the log of `metrics` to read and closes it again, as often as told, or as often as so many seconds allow.
 *   node opener.ts <directory> <times> [<seconds>]
 */
import { DEFAULT_RETENTION } from '../config.ts';
import { LmdbEventStream } from '../lmdb-event-stream.ts';

const [directory, times, seconds = 'Infinity'] = process.argv.slice(2) as [string, string, string?];
const untilMs = performance.now() + Number(seconds) * 1000;
for (let opened = 0; opened < Number(times) && performance.now() < untilMs; opened++) {
  const stream = new LmdbEventStream({ directory, source: 'opener', streams: DEFAULT_RETENTION });
  await stream.acceptedItems('metrics');
  await stream.close();
}
