/*
 * A process for tests to kill. It consumes `metrics` for a group, prints the ids of its first batch as a line of JSON, and never settles it.
 *   node consumer.ts <directory> <group>
 */
import { printFirstBatch } from '#adapters/killed-process.ts';
import { DEFAULT_RETENTION } from '../config.ts';
import { LmdbEventStream } from '../lmdb-event-stream.ts';

const [directory, group] = process.argv.slice(2) as [string, string];
const stream = new LmdbEventStream({ directory, source: 'consumer', streams: DEFAULT_RETENTION });
await printFirstBatch(stream, group);
