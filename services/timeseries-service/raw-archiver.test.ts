import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { DEFAULT_RETENTION } from '#adapters/embedded/lmdb-event-stream/config.ts';
import { LmdbEventStream } from '#adapters/embedded/lmdb-event-stream/lmdb-event-stream.ts';
import { SqliteCheckpointStore } from '#adapters/embedded/sqlite-checkpoint-store/sqlite-checkpoint-store.ts';
import { rawFolder } from '#core/archive/raw-object.ts';
import { readRaw } from '#core/archive/raw-reader.ts';
import { systemClock } from '#core/clock.ts';
import { sampleEvent } from '#core/contracts/sample-event.ts';
import { until } from '#core/contracts/until.ts';
import type { MachineKey, SiteId, TenantId } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';
import type { CheckpointStore } from '#core/ports/checkpoint-store.ts';
import { createLogger } from '#services/shared/observability/logger.ts';
import { createMetricsRegistry } from '#services/shared/observability/metrics.ts';
import { lagOf } from '#services/shared/observability/stream-lag.ts';
import { MemoryObjectStore } from '#test/support/memory-object-store.ts';
import { RAW_ARCHIVE_GROUP, startRawArchiver, type RawArchiver } from './raw-archiver.ts';

const DAY_MS = 86_400_000;
const [acme, akron] = ['acme' as TenantId, 'akron' as SiteId];
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

  const start = async (isOn = true, state: Pick<CheckpointStore, 'load' | 'save'> = checkpoints) => {
    await archiver?.close();
    archiver = await startRawArchiver(
      {
        ...{ stream, checkpoints: state, objects, clock: systemClock },
        logger: createLogger({ service: 'test', level: 'silent' }),
        metrics: createMetricsRegistry('test', { processMetrics: false }),
      },
      { isOn, everyMs: 60_000, keepMs: DAY_MS },
    );
    return archiver;
  };
  const send = async (...ids: readonly string[]) => {
    const payload = Buffer.from('{"ts":1,"metrics":{"a":1}}');
    const events = ids.map((id) => sampleEvent(id, { key: PRESS, acceptedAtMs: Date.now(), payload }));
    await stream.publish('metrics', events);
  };
  const sendOneByOne = async (prefix: string, count: number) => {
    for (let i = 0; i < count; i++) await send(`${prefix}-${i}`);
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

  it('archives all that has gathered at once, however small the commits were in which it came', async () => {
    await start();
    await archiver?.close();
    await sendOneByOne('a', 200);
    await start();
    await until(async () => (await archived()).length === 200);
    expect(await objects.list({ prefix: 'raw/', limit: 10 })).toHaveLength(1);
  });

  it('has each message once after it died between two writes and the stream has lost its checkpoint', async () => {
    await start();
    await sendOneByOne('a', 60);
    await until(async () => (await archived()).length > 0);
    await start();
    await until(async () => (await archived()).length === 60);
    await archiver?.close();
    await sendOneByOne('b', 60);
    let isStuck = false;
    await start(true, {
      load: (name) => checkpoints.load(name),
      save: async (name, state, version) => {
        if (Buffer.from(state).includes('planned')) return checkpoints.save(name, state, version);
        isStuck = true;
        throw new PortError('unavailable', 'it dies before it says what it has written');
      },
    });
    await until(() => isStuck);
    await archiver?.close();
    rmSync(join(folder, 'streams', 'metrics', 'groups', `${RAW_ARCHIVE_GROUP}.checkpoint`));
    await start();
    await until(async () => {
      const { state } = (await checkpoints.load('raw-archive/metrics'))!;
      return /^{"archived":\[{[^}]*"seq":120}\]}$/.test(Buffer.from(state).toString());
    });
    const ids = await archived();
    expect(ids.toSorted()).toEqual([...new Set(ids)].toSorted());
  });

  it.each([true, false])('deletes what is too old, switched on or off: %s', async (isOn) => {
    const [tooOld, kept] = [10 * DAY_MS, 0].map((ageMs) => {
      const atMs = Date.now() - ageMs;
      return `${rawFolder(acme, akron, atMs)}${atMs}-${atMs}-metrics-${'0'.repeat(32)}.ndjson.gz`;
    });
    for (const key of [tooOld!, kept!]) await objects.put(key, Buffer.of(1));
    await start(isOn);
    await until(async () => (await objects.get(tooOld!)) === undefined);
    expect(await objects.get(kept!)).toBeDefined();
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
