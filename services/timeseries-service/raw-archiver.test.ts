import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { DEFAULT_RETENTION } from '#adapters/embedded/lmdb-event-stream/config.ts';
import { LmdbEventStream } from '#adapters/embedded/lmdb-event-stream/lmdb-event-stream.ts';
import { SqliteCheckpointStore } from '#adapters/embedded/sqlite-checkpoint-store/sqlite-checkpoint-store.ts';
import { readRaw } from '#core/archive/raw-reader.ts';
import { systemClock } from '#core/clock.ts';
import { sampleEvent } from '#core/contracts/sample-event.ts';
import { until } from '#core/contracts/until.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { createLogger } from '#services/shared/observability/logger.ts';
import { createMetricsRegistry } from '#services/shared/observability/metrics.ts';
import { lagOf } from '#services/shared/observability/stream-lag.ts';
import { MemoryObjectStore } from '#test/support/memory-object-store.ts';
import { RAW_ARCHIVE_GROUP, startRawArchiver, type RawArchiver } from './raw-archiver.ts';

const PRESS = 'acme/akron/press-7' as MachineKey;
const decompress = promisify(gunzip) as (bytes: Uint8Array) => Promise<Buffer>;

describe('the raw archiver', () => {
  let folder: string;
  let stream: LmdbEventStream;
  let checkpoints: SqliteCheckpointStore;
  let objects: MemoryObjectStore;
  let archiver: RawArchiver | undefined;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tribo-raw-archiver-'));
    stream = new LmdbEventStream({
      ...{ directory: join(folder, 'streams'), source: 'test', streams: DEFAULT_RETENTION },
    });
    checkpoints = await SqliteCheckpointStore.open({ databasePath: join(folder, 'state.db') }, systemClock);
    objects = new MemoryObjectStore();
  });
  afterEach(async () => {
    await archiver?.close();
    await stream.close();
    await checkpoints.close();
    rmSync(folder, { recursive: true });
  });

  const start = async (isOn = true) => {
    await archiver?.close();
    archiver = await startRawArchiver(
      {
        ...{ stream, checkpoints, objects, clock: systemClock },
        logger: createLogger({ service: 'test', level: 'silent' }),
        metrics: createMetricsRegistry('test', { processMetrics: false }),
      },
      { isOn, everyMs: 60_000, keepMs: 86_400_000 },
    );
    return archiver;
  };
  const send = async (...ids: readonly string[]) => {
    const payload = Buffer.from('{"ts":1,"metrics":{"a":1}}');
    const events = ids.map((id) => sampleEvent(id, { key: PRESS, acceptedAtMs: Date.now(), payload }));
    await stream.publish('metrics', events);
  };
  const archived = async () => {
    const query = { machine: PRESS, fromMs: 0, toMs: Date.now() + 60_000, limit: 500 };
    return (await readRaw(query, { objects, decompress })).messages.map(({ eventId }) => eventId);
  };

  it('archives what was accepted, and goes on after a restart', async () => {
    await start();
    await send('a', 'b');
    await until(async () => (await archived()).length === 2);
    await start();
    await send('c');
    await until(async () => (await archived()).length === 3);
    expect(await archived()).toEqual(['a', 'b', 'c']);
  });

  it('keeps what cannot be archived in the stream, so that intake hears of it, and says why', async () => {
    const running = await start();
    objects.full = true;
    await send('a', 'b');
    await until(async () => running.problem() !== undefined);
    expect(running.problem()).toMatch(/cannot archive metrics: the disk is full/);
    expect(await lagOf(stream, 'metrics', RAW_ARCHIVE_GROUP)).toMatchObject({ events: 2 });
    objects.full = false;
    await until(async () => (await archived()).length === 2);
    await until(async () => running.problem() === undefined);
  });

  it('switched off lets go of the stream, and switched on again begins anew', async () => {
    await start();
    await send('a');
    await until(async () => (await archived()).length === 1);
    await start(false);
    expect(await lagOf(stream, 'metrics', RAW_ARCHIVE_GROUP)).toBeUndefined();
    await send('b');
    await start();
    await send('c');
    await until(async () => (await archived()).length === 2);
    expect(await archived()).toEqual(['a', 'c']);
  });
});
