import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { open } from 'lmdb';
import { DEFAULT_RETENTION } from '#adapters/embedded/lmdb-event-stream/config.ts';
import { LmdbEventStream } from '#adapters/embedded/lmdb-event-stream/lmdb-event-stream.ts';
import { throughPort, type Place, type StreamClient, type StreamPeer } from './stream-client.ts';

const READ_EVENTS = 1000;
const IDLE_MS = 1;
const CHECKPOINT_MS = 200;

export const lmdbPeer: StreamPeer = {
  adapter: 'lmdb-event-stream',
  notes:
    'no server; bare: lmdb, a put an event that is awaited with its sync to the disk, read in ranges, a checkpoint every 200 ms',
  pacedPerS: 5000,
  start: () => {
    const folder = mkdtempSync(join(process.env['BENCH_DIR'] ?? tmpdir(), 'tribo-bench-'));
    return Promise.resolve({
      fresh: () => Promise.resolve({ directory: mkdtempSync(join(folder, 'log-')) }),
      [Symbol.asyncDispose]: () => {
        rmSync(folder, { recursive: true });
        return Promise.resolve();
      },
    });
  },
  openAdapter: ({ directory }) =>
    Promise.resolve(
      throughPort(
        new LmdbEventStream({
          ...{ directory: directory as string, source: 'bench' },
          streams: { metrics: DEFAULT_RETENTION.metrics },
        }),
      ),
    ),
  openBare: (place) => Promise.resolve(openBare(place)),
};

function openBare({ directory }: Place): StreamClient {
  const settings = { encoding: 'binary', keyEncoding: 'uint32', overlappingSync: false, cache: false } as const;
  const log = open<Buffer, number>({ path: directory as string, ...settings });
  let [end, at] = [0, 0];
  let isOpen = true;
  let reading = Promise.resolve();
  const read = async (take: (payload: Uint8Array) => void): Promise<void> => {
    let savedAtMs = 0;
    while (isOpen) {
      const before = at;
      for (const { value } of log.getRange({ start: at, end, limit: READ_EVENTS })) {
        take(value);
        at++;
      }
      if (at > before && performance.now() - savedAtMs > CHECKPOINT_MS) {
        savedAtMs = performance.now();
        // A key above all positions.
        void log.put(2 ** 32 - 1, Buffer.from(String(at)));
      }
      await (at > before ? new Promise((resolve) => setImmediate(resolve)) : sleep(IDLE_MS));
    }
  };
  return {
    declare: () => Promise.resolve(),
    publish: async (events) => {
      await Promise.all(events.map(({ payload }) => log.put(end++, payload as Buffer)));
    },
    consume: (take) => {
      reading = read(take);
      return Promise.resolve();
    },
    close: async () => {
      isOpen = false;
      await reading;
      await log.close();
    },
  };
}
