import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { open as openLmdb } from 'lmdb';
import { acknowledgeInto } from '#core/contracts/acknowledge-into.ts';
import { sampleEvent } from '#core/contracts/sample-event.ts';
import { until } from '#core/contracts/until.ts';
import type { StampedEvent } from '#core/domain/event.ts';
import { PortError } from '#core/errors.ts';
import type { BatchHandler } from '#core/ports/event-stream.ts';
import { HeldClock } from '#test/support/held-clock.ts';
import { DEFAULT_RETENTION, type LmdbEventStreamConfig, type StreamRetention } from './config.ts';
import { LmdbEventStream, type LmdbEventStreamParts } from './lmdb-event-stream.ts';
import { LogFile } from './log-file.ts';

const DAY_MS = 86_400_000;
const NOW_MS = 1_795_222_800_000;

let directory: string;
let opened: LmdbEventStream[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tribo-lmdb-'));
  opened = [];
});

afterEach(async () => {
  for (const stream of opened) await stream.close();
  rmSync(directory, { recursive: true });
});

describe('retention', () => {
  const retention: StreamRetention = { maxAgeMs: DAY_MS, maxBytes: 20_000, hardMaxBytes: 60_000 };

  it('lets go of settled events above the size, oldest first', async () => {
    const stream = open({ streams: { metrics: retention }, checkpointIntervalMs: 1 });
    await stream.declareGroup('metrics', 'store');
    const subscription = await stream.subscribe('metrics', 'store', (batch) => batch.ack(), { maxBatchEvents: 10 });
    for (let index = 0; index < 60; index++) {
      await stream.publish('metrics', [newEvent(`e-${index}`, 2000)]);
      await untilSettled(stream);
      await new Promise((resolve) => setTimeout(resolve, 4));
    }
    await subscription.close();
    const kept = await readAll(stream);
    expect(kept.at(-1)?.eventId).toBe('e-59');
    expect(kept.length * 2000).toBeLessThanOrEqual(retention.hardMaxBytes);
    expect(kept.length).toBeLessThan(30);
    expect(kept.map((event) => event.seq)).toEqual(kept.map((_, index) => kept[0]!.seq + index));
  });

  it('lets go of settled events that are older than the age', async () => {
    const clock = new HeldClock(NOW_MS);
    const stream = open({ streams: { metrics: retention } }, { clock });
    await stream.publish('metrics', [newEvent('old', 100)]);
    clock.advance(DAY_MS / 2);
    await stream.publish('metrics', [newEvent('newer', 100)]);
    clock.advance(DAY_MS / 2 + 1);
    await stream.publish('metrics', [newEvent('newest', 100)]);
    expect((await readAll(stream)).map((event) => event.eventId)).toEqual(['newer', 'newest']);
  });

  it('keeps what a declared group has not settled, refuses to publish above the hard bound, and goes on once the group has', async () => {
    const clock = new HeldClock(NOW_MS);
    const stream = open({ streams: { metrics: retention } }, { clock });
    await stream.declareGroup('metrics', 'store');
    let published = 0;
    const publish = () => stream.publish('metrics', [newEvent(`e-${published}`, 2000)]);
    await expect(
      (async () => {
        for (; published < 100; published++) {
          clock.advance(DAY_MS);
          await publish();
        }
      })(),
    ).rejects.toMatchObject({ code: 'resource_exhausted' });
    expect(published).toBeGreaterThan(20);
    const received = await collect(stream, 'store', published);
    expect(received.map((event) => event.eventId)).toEqual(received.map((_, index) => `e-${index}`));
    await publish();
    expect((await readAll(stream)).at(-1)?.seq).toBe(published + 1);
  });

  it('goes on at the same cumulative count after everything was let go of', async () => {
    const clock = new HeldClock(NOW_MS);
    for (let round = 1; round <= 3; round++) {
      const stream = open({ streams: { metrics: retention } }, { clock });
      await stream.publish('metrics', [newEvent(`e-${round}`, 100)]);
      clock.advance(2 * DAY_MS);
      expect((await readAll(stream)).map((event) => event.cumulativeItems)).toEqual([round]);
      await stream.close();
    }
  });
});

describe('publishing', () => {
  it('gives consumers of the same process the very payload objects', async () => {
    const stream = open();
    await stream.declareGroup('metrics', 'store');
    const received: StampedEvent[] = [];
    const options = { maxBatchEvents: 10 };
    const subscription = await stream.subscribe('metrics', 'store', acknowledgeInto(received), options);
    const events = [newEvent('e-0', 10), newEvent('e-1', 10)];
    await stream.publish('metrics', events);
    await until(() => received.length === 2);
    await subscription.close();
    received.forEach((event, index) => expect(event.payload).toBe(events[index]!.payload));
  });

  it('refuses more than the bound while the disk has not caught up, and takes more afterwards', async () => {
    const stream = open({ maxPendingBytes: 10_000 });
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) => stream.publish('metrics', [newEvent(`e-${index}`, 1000)])),
    );
    const refused = results.filter((result) => result.status === 'rejected');
    expect(refused.length).toBeGreaterThan(5);
    for (const { reason } of refused) expect(reason).toMatchObject({ code: 'resource_exhausted' });
    await stream.publish('metrics', [newEvent('later', 1000)]);
    expect(await readAll(stream)).toHaveLength(20 - refused.length + 1);
  });

  it('is possible from several clients at once, with one dense order and one count', async () => {
    const clients = ['one', 'two', 'three'].map((source) => open({ source }));
    await Promise.all(
      clients.map(async (client, number) => {
        for (let index = 0; index < 40; index++) await client.publish('features', [newEvent(`${number}-${index}`, 50)]);
      }),
    );
    const kept = await readAll(clients[0]!, 'features');
    expect(kept.map((event) => event.cumulativeItems)).toEqual(kept.map((_, index) => index + 1));
    for (const own of Map.groupBy(kept, (event) => event.source).values())
      expect(own.map((event) => event.seq)).toEqual(Array.from({ length: 40 }, (_, index) => index + 1));
  });

  it('is refused for a stream of another process, whose place it does not take', async () => {
    const stream = open({ source: 'gateway', publishes: ['alarms'] });
    await expect(stream.publish('metrics', [newEvent('e', 1)])).rejects.toMatchObject({
      code: 'failed_precondition',
      message: expect.stringContaining('this process (gateway) does not publish to the stream metrics'),
    });
    await stream.publish('alarms', [newEvent('e', 1)]);
    expect(await readAll(stream)).toEqual([]);
  });

  it.each([
    ['became durable all the same', true, ['e-0', 'e-1', 'e-2', 'e-3']],
    ['did not become durable', false, ['e-0', 'e-2', 'e-3']],
  ])('numbers no two events alike after a commit that failed and %s', async (_outcome, isDurable, kept) => {
    const stream = open();
    await stream.declareGroup('metrics', 'store');
    await stream.publish('metrics', [newEvent('e-0', 10)]);
    const file = await LogFile.open({ directory: join(directory, 'metrics'), mapSize: 0, freeSpaceReserveBytes: 0 });
    const commit = file.commit.bind(file);
    file.commit = async (given) => {
      file.commit = commit;
      if (isDurable) await commit(given);
      throw new PortError('unavailable', 'the disk did not answer');
    };
    await expect(stream.publish('metrics', [newEvent('e-1', 10)])).rejects.toMatchObject({ code: 'unavailable' });
    await stream.publish('metrics', [newEvent('e-2', 10)]);
    await stream.publish('metrics', [newEvent('e-3', 10)]);
    const received = await collect(stream, 'store', kept.length);
    await file.release();
    expect(received.map(({ eventId }) => eventId)).toEqual(kept);
    expect(received.map(({ cumulativeItems }) => cumulativeItems)).toEqual(kept.map((_, index) => index + 1));
    expect(new Set(received.map(({ source, epoch, seq }) => `${source} ${epoch} ${seq}`)).size).toBe(kept.length);
    for (const own of Map.groupBy(received, ({ epoch }) => epoch).values())
      expect(own.map(({ seq }) => seq)).toEqual(own.map((_, index) => index + 1));
  });

  it('opens a higher epoch also where the folder was lost', async () => {
    const clock = new HeldClock(NOW_MS);
    const epochs: number[] = [];
    for (let round = 0; round < 3; round++) {
      const stream = open({}, { clock });
      await stream.publish('metrics', [newEvent('e', 1)]);
      epochs.push((await readAll(stream)).at(-1)!.epoch);
      await stream.close();
      if (round === 1) rmSync(join(directory, 'metrics'), { recursive: true });
      clock.advance(10);
    }
    expect(epochs[1]).toBeGreaterThan(epochs[0]!);
    expect(epochs[2]).toBeGreaterThan(epochs[1]!);
  });
});

describe('consuming', () => {
  it('stops reading ahead while too much waits behind a failed event, and loses nothing', async () => {
    const stream = open({ maxHeldEvents: 20 });
    await stream.declareGroup('metrics', 'store');
    for (let index = 0; index < 100; index++) await stream.publish('metrics', [newEvent(`e-${index}`, 50)]);
    const seen: string[] = [];
    let isAway = true;
    const handler: BatchHandler = async (batch) => {
      if (isAway) return batch.nack([0], { delayMs: 10 });
      seen.push(...batch.events.map((event) => event.eventId));
      return batch.ack();
    };
    const subscription = await stream.subscribe('metrics', 'store', handler, { maxBatchEvents: 1 });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await stream.lag('metrics', 'store')).toMatchObject({ events: 100 });
    isAway = false;
    await until(() => seen.length === 100);
    await subscription.close();
    expect(seen).toEqual(Array.from({ length: 100 }, (_, index) => `e-${index}`));
  });

  it('reads a backlog that is far larger than the tail cache', async () => {
    const stream = open({ tailCacheBytes: 50_000 });
    await stream.declareGroup('metrics', 'store');
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const received: string[] = [];
    const handler: BatchHandler = async (batch) => {
      await held;
      received.push(...batch.events.map((event) => event.eventId));
      await batch.ack();
    };
    const subscription = await stream.subscribe('metrics', 'store', handler, { maxBatchEvents: 7 });
    for (let index = 0; index < 200; index++) await stream.publish('metrics', [newEvent(`e-${index}`, 2000)]);
    release();
    await until(() => received.length === 200);
    await subscription.close();
    expect(received).toEqual(Array.from({ length: 200 }, (_, index) => `e-${index}`));
  });

  it('hands out a backlog of small commits in batches as full as they may be', async () => {
    const stream = open();
    await stream.declareGroup('metrics', 'store');
    for (let index = 0; index < 200; index++) await stream.publish('metrics', [newEvent(`e-${index}`, 10)]);
    const sizes: number[] = [];
    const handler: BatchHandler = async (batch) => {
      sizes.push(batch.events.length);
      await batch.ack();
    };
    const subscription = await stream.subscribe('metrics', 'store', handler, { maxBatchEvents: 150 });
    await untilSettled(stream);
    await subscription.close();
    expect(sizes).toEqual([150, 50]);
  });

  it('goes through a backlog that the caller has settled, of which the checkpoint knows nothing', async () => {
    const stream = open();
    await stream.declareGroup('metrics', 'store');
    for (let index = 0; index < 200; index++) await stream.publish('metrics', [newEvent(`e-${index}`, 10)]);
    const settled = (await readAll(stream)).at(-2)!;
    const received = await collect(stream, 'store', 1, [settled]);
    expect(received.map((event) => event.eventId)).toEqual(['e-199']);
    expect(await stream.lag('metrics', 'store')).toMatchObject({ events: 0 });
  });
});

describe('the format', () => {
  it('is refused where an unreleased version kept the groups inside the log', async () => {
    const log = openLmdb({ path: join(directory, 'metrics', 'log'), encoding: 'binary' });
    const format = Buffer.alloc(8);
    format.writeDoubleLE(1);
    log.openDB({ name: 'meta', encoding: 'binary', useVersions: true }).putSync('format', format, 1);
    await log.close();
    await expect(open().publish('metrics', [newEvent('e', 1)])).rejects.toMatchObject({
      code: 'failed_precondition',
      message: expect.stringMatching(/has format 1, this program reads and writes 2: .*move the folder away/),
    });
  });

  it('is refused by readers and publishers where a later version wrote it', async () => {
    const stream = open();
    await stream.publish('metrics', [newEvent('e', 1)]);
    await stream.close();
    writeFileSync(join(directory, 'metrics', 'format'), '3\n');
    const refusal = { code: 'failed_precondition', message: expect.stringContaining('has format 3') };
    const later = open();
    await expect(later.acceptedItems('metrics')).rejects.toMatchObject(refusal);
    await expect(later.publish('metrics', [newEvent('e', 1)])).rejects.toMatchObject(refusal);
  });
});

function open(config: Partial<LmdbEventStreamConfig> = {}, parts: LmdbEventStreamParts = {}): LmdbEventStream {
  const stream = new LmdbEventStream({ directory, source: 'test', streams: DEFAULT_RETENTION, ...config }, parts);
  opened.push(stream);
  return stream;
}

const newEvent = (eventId: string, payloadBytes: number) =>
  sampleEvent(eventId, { acceptedAtMs: NOW_MS, payload: new Uint8Array(payloadBytes) });

async function collect(
  stream: LmdbEventStream,
  group: string,
  count: number,
  resumeAfter: readonly StampedEvent[] = [],
): Promise<StampedEvent[]> {
  const received: StampedEvent[] = [];
  const options = { maxBatchEvents: 100, resumeAfter };
  const subscription = await stream.subscribe('metrics', group, acknowledgeInto(received), options);
  await until(() => received.length >= count);
  await subscription.close();
  return received;
}

async function readAll(stream: LmdbEventStream, name: 'metrics' | 'features' = 'metrics'): Promise<StampedEvent[]> {
  const events: StampedEvent[] = [];
  for await (const block of stream.readTail(name, { maxEvents: Infinity, sinceMs: 0 })) events.push(...block);
  return events;
}

async function untilSettled(stream: LmdbEventStream): Promise<void> {
  await until(async () => (await stream.lag('metrics', 'store')).events === 0);
}
