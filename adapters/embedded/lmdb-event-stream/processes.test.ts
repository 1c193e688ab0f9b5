import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { MachineEvent, StampedEvent } from '#core/domain/event.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { DEFAULT_RETENTION } from './config.ts';
import { GroupFiles } from './group-files.ts';
import { dataPath } from './log-environment.ts';
import { LmdbEventStream } from './lmdb-event-stream.ts';
import { LogFile } from './log-file.ts';
import { Children } from './testing/children.ts';
import { IdListReader } from './testing/id-list.ts';

/** Each seed is another series of processes to kill, and of moments. */
const SEEDS = process.env['TRIBO_LONG'] === '1' ? [1, 2, 3, 4, 5, 6] : [1];
const OPENINGS = process.env['TRIBO_LONG'] === '1' ? 40_000 : 5000;
const OPENING_S = process.env['TRIBO_LONG'] === '1' ? 600 : 8;
const ROUNDS = process.env['TRIBO_LONG'] === '1' ? 60 : 5;

let directory: string;
let children: Children;
let streams: LmdbEventStream[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tribo-processes-'));
  children = new Children();
  streams = [];
});

afterEach(async () => {
  await children.killAll();
  for (const stream of streams) await stream.close();
  rmSync(directory, { recursive: true });
});

describe('when the publisher, consumers or both are killed without notice, again and again', () => {
  it.each(SEEDS)(
    'loses nothing, keeps no progress ahead of what was handled, and harms no survivor, seed %i',
    async (seed) => {
      const failures: unknown[] = [];
      const survivor = open('survivor', (error) => failures.push(error));
      const survived: string[] = [];
      // Before anything is published: each group gets everything.
      for (const group of ['survivor', 'store', 'compute']) await survivor.declareGroup('metrics', group);
      const subscription = await survivor.subscribe(
        'metrics',
        'survivor',
        async (batch) => {
          survived.push(...batch.events.map((event) => event.eventId));
          await batch.ack();
        },
        { maxBatchEvents: 100 },
      );
      const [intake, store, compute] = [listOf('intake'), listOf('store'), listOf('compute')];
      // Two of the consumers are of one group: one of them stands by.
      const starts = [
        () => children.start('publisher.ts', directory, 'intake', pathOf('intake'), '3'),
        () => children.start('acknowledger.ts', directory, 'store', pathOf('store')),
        () => children.start('acknowledger.ts', directory, 'compute', pathOf('compute')),
        () => children.start('acknowledger.ts', directory, 'compute', pathOf('compute')),
      ];
      const running = starts.map((begin) => begin());
      const random = randomFrom(seed);
      const observed: { readonly list: IdListReader; readonly checkpoint: number; readonly handled: number }[] = [];

      for (let round = 0; round < ROUNDS; round++) {
        const counts = () => [...[intake, store, compute].map((list) => list.read().length), survived.length];
        const before = counts();
        await children.until(`intake, store, compute and survivor get beyond ${String(before)} in round ${round}`, () =>
          counts().every((count, index) => count > before[index]!),
        );
        await sleep(random() * 40);
        const victims = running.map((_, index) => index).filter(() => random() < 0.5);
        await Promise.all(victims.map((victim) => running[victim]!.kill()));
        for (const [group, list] of Object.entries({ store, compute }))
          observed.push({ list, checkpoint: checkpointOf(group), handled: list.read().length });
        for (const victim of victims) running[victim] = starts[victim]!();
      }
      await running[0]!.kill();
      // A commit that its publisher was killed in comes to light when somebody next opens the log, and then it is the last.
      await children.run('opener.ts', directory, '1');
      const kept = await readAll(survivor);
      const ids = kept.map((event) => event.eventId);
      await children.until(`store, compute and survivor have handled all ${ids.length} events`, () =>
        [checkpointOf('store'), checkpointOf('compute'), survived.length].every((handled) => handled >= ids.length),
      );
      await subscription.close();

      const keptIds = new Set(ids);
      expect(intake.read().filter((id) => !keptIds.has(id))).toEqual([]);
      expect(survived).toEqual(ids);
      expect(failures).toEqual([]);
      for (const own of Map.groupBy(kept, (event) => `${event.source} ${event.epoch}`).values())
        expect(own.map((event) => event.seq)).toEqual(own.map((_, index) => index + 1));
      // What is delivered again after a crash comes in order too: the first time each came is in the order of the log.
      for (const list of [store, compute]) expect([...new Set(list.read())]).toEqual(ids);
      for (const { list, checkpoint, handled } of observed) {
        const settled = new Set(list.read().slice(0, handled));
        expect(ids.slice(0, checkpoint).filter((id) => !settled.has(id))).toEqual([]);
      }
    },
    // For a hang only, and then what is waited for says so before.
    (ROUNDS + 2) * 60_000,
  );
});

describe('a log that is opened to read while it is written', () => {
  it(
    `has every acknowledged event, however often it is opened (${OPENINGS} times, or as often as ${OPENING_S} s allow)`,
    async () => {
      const acknowledged = listOf('intake');
      const publisher = children.start('publisher.ts', directory, 'intake', pathOf('intake'), '0');
      await children.until('something is acknowledged', () => acknowledged.read().length > 0);
      const opened = [0, 1].map(() => children.run('opener.ts', directory, String(OPENINGS / 2), String(OPENING_S)));
      await Promise.all(opened);
      expect(publisher.hasEnded).toBe(false);
      await publisher.kill();

      const keptIds = new Set((await readAll(open('reader'))).map((event) => event.eventId));
      expect(acknowledged.read().filter((id) => !keptIds.has(id))).toEqual([]);
      expect(acknowledged.read().length).toBeGreaterThan(100);
    },
    (OPENING_S + 100) * 1000,
  );
});

describe('a log that several processes open and close, each of them now and then the last', () => {
  it('can be opened every time', async () => {
    const stream = open('writer');
    await stream.publish('metrics', [newEvent('first')]);
    await stream.close();
    await Promise.all([1, 2, 3].map(() => children.run('opener.ts', directory, '500', '20')));
    expect((await readAll(open('reader'))).map((event) => event.eventId)).toEqual(['first']);
  }, 120_000);
});

describe('a consumer that starts before any publisher', () => {
  it('gets everything once the publisher of another process has made the log', async () => {
    const stream = open('reader');
    await stream.declareGroup('metrics', 'store');
    const received: string[] = [];
    const handler = async (batch: { readonly events: readonly StampedEvent[]; ack(): Promise<void> }) => {
      received.push(...batch.events.map((event) => event.eventId));
      await batch.ack();
    };
    const subscription = await stream.subscribe('metrics', 'store', handler, { maxBatchEvents: 100 });
    expect(await stream.lag('metrics', 'store')).toEqual({ events: 0, oldestAgeMs: 0, fullness: 0 });
    expect(await stream.acceptedItems('metrics')).toEqual(new Map());
    expect(await readAll(stream)).toEqual([]);
    expect(existsSync(dataPath(join(directory, 'metrics')))).toBe(false);

    const child = children.start('publisher.ts', directory, 'intake', pathOf('intake'), '5');
    await children.until('more than 100 events are received', () => received.length > 100);
    await child.kill();
    const ids = (await readAll(stream)).map((event) => event.eventId);
    await children.until(`all ${ids.length} events are received`, () => received.length >= ids.length);
    await subscription.close();
    expect(received).toEqual(ids);
  }, 120_000);

  it('goes on when its own process begins to publish, also to a log that another process made', async () => {
    const acknowledged = listOf('other');
    const child = children.start('publisher.ts', directory, 'other', pathOf('other'), '5');
    await children.until('more than 50 events are acknowledged', () => acknowledged.read().length > 50);
    const stream = open('own');
    await stream.declareGroup('metrics', 'store');
    const received: string[] = [];
    const subscription = await stream.subscribe(
      'metrics',
      'store',
      async (batch) => {
        received.push(...batch.events.map((event) => event.eventId));
        await batch.ack();
      },
      { maxBatchEvents: 100 },
    );
    await children.until('something is received', () => received.length > 0);
    const published = stream.publish('metrics', [newEvent('mine')]);
    await child.kill();
    await published;
    await children.until('the own event is received', () => received.includes('mine'));
    await subscription.close();
    const ids = (await readAll(stream)).map((event) => event.eventId);
    expect(received).toEqual(ids.slice(ids.indexOf(received[0]!)));
    const keptIds = new Set(ids);
    expect(acknowledged.read().filter((id) => !keptIds.has(id))).toEqual([]);
  }, 120_000);
});

describe('a reader that is killed while it reads', () => {
  it('does not keep pages from being used again', async () => {
    const log = await LogFile.open({
      directory: join(directory, 'metrics'),
      mapSize: 2 ** 30,
      freeSpaceReserveBytes: 0,
    });
    expect(log.tryBecomeWriter('test')).toBe(true);
    let position = 0;
    /** One frame in, one out. */
    const turnOver = async (frames: number): Promise<number> => {
      for (let count = 0; count < frames; count++) {
        log.refresh();
        const after = log.readHead();
        const [oldest] = position < 10 ? [] : log.framePositions(0, 1);
        const positions = oldest === undefined ? [] : [oldest];
        const removed = { positions, bytes: 0, firstPosition: (oldest ?? -1) + 1 };
        const frame = { bytes: Buffer.alloc(20_000), count: 1 };
        await log.commit({ after, frames: [frame], tenantItems: new Map(), removed });
        position++;
      }
      log.refresh();
      return statSync(log.dataPath).size;
    };
    try {
      const settled = await turnOver(100);
      const child = children.start('stuck-reader.ts', directory);
      await once(child.process.stdout!, 'data');
      const held = await turnOver(100);
      expect(held - settled).toBeGreaterThan(1_000_000);
      await child.kill();
      log.freeDeadReaders();
      expect(await turnOver(100)).toBe(held);
    } finally {
      await log.release();
    }
  }, 120_000);
});

function open(source: string, onFailure?: (error: unknown) => void): LmdbEventStream {
  const config = { directory, source, streams: DEFAULT_RETENTION, checkpointIntervalMs: 5 };
  const stream = new LmdbEventStream(config, onFailure ? { onFailure } : {});
  streams.push(stream);
  return stream;
}

function pathOf(name: string): string {
  return join(directory, `${name}.list`);
}

function listOf(name: string): IdListReader {
  return new IdListReader(pathOf(name));
}

function checkpointOf(group: string): number {
  return new GroupFiles(join(directory, 'metrics', 'groups')).readCheckpoint(group) ?? 0;
}

function newEvent(eventId: string): MachineEvent {
  const key = 'north/akron/m1' as MachineKey;
  return { eventId, kind: 'telemetry', key, items: 1, acceptedAtMs: 1, payload: new Uint8Array(10) };
}

async function readAll(stream: LmdbEventStream): Promise<StampedEvent[]> {
  const events: StampedEvent[] = [];
  for await (const block of stream.readTail('metrics', { maxEvents: Infinity, sinceMs: 0 })) events.push(...block);
  return events;
}

/** Numbers from 0 to 1, the same ones for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
