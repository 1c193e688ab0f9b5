/*
 * A process for tests to kill. It reads `metrics`, says so, and keeps its read transaction open for ever.
 *   node stuck-reader.ts <directory>
 */
import { writeSync } from 'node:fs';
import { DEFAULT_RETENTION } from '../config.ts';
import { LmdbEventStream } from '../lmdb-event-stream.ts';

const [directory] = process.argv.slice(2) as [string];
const stream = new LmdbEventStream({ directory, source: 'stuck', streams: DEFAULT_RETENTION });
await stream.acceptedItems('metrics');
writeSync(1, 'reading\n');
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
