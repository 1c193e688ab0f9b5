import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
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

/** Each seed is another series of processes to kill, and of moments. */
const SEEDS = process.env['TRIBO_LONG'] === '1' ? [1, 2, 3, 4, 5, 6] : [1];
const OPENINGS = process.env['TRIBO_LONG'] === '1' ? 40_000 : 5000;
const ROUNDS = process.env['TRIBO_LONG'] === '1' ? 60 : 5;

let directory: string;
let children: ChildProcess[];
let streams: LmdbEventStream[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tribo-processes-'));
  children = [];
  streams = [];
});

afterEach(async () => {
  await Promise.all(children.map(kill));
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
      // Two of the consumers are of one group: one of them stands by.
      const starts = [
        () => start('publisher.ts', 'intake', listOf('intake'), '3'),
        () => start('acknowledger.ts', 'store', listOf('store')),
        () => start('acknowledger.ts', 'compute', listOf('compute')),
        () => start('acknowledger.ts', 'compute', listOf('compute')),
      ];
      const running = starts.map((begin) => begin());
      const random = randomFrom(seed);
      const observed: { readonly group: string; readonly checkpoint: number; readonly handled: number }[] = [];

      for (let round = 0; round < ROUNDS; round++) {
        const lists = ['intake', 'store', 'compute'];
        const before = lists.map((name) => linesOf(name).length);
        const survivedBefore = survived.length;
        await waitUntil(() => lists.every((name, index) => linesOf(name).length > before[index]!));
        await waitUntil(() => survived.length > survivedBefore);
        await sleep(random() * 40);
        const victims = running.map((_, index) => index).filter(() => random() < 0.5);
        await Promise.all(victims.map((victim) => kill(running[victim]!)));
        for (const group of ['store', 'compute'])
          observed.push({ group, checkpoint: checkpointOf(group), handled: linesOf(group).length });
        for (const victim of victims) running[victim] = starts[victim]!();
      }
      await kill(running[0]!);
      const kept = await readAll(survivor);
      const ids = kept.map((event) => event.eventId);
      for (const name of ['store', 'compute'])
        await waitUntil(() => new Set(linesOf(name)).size >= ids.length && checkpointOf(name) === ids.length);
      await waitUntil(() => survived.length >= ids.length);
      await subscription.close();

      const keptIds = new Set(ids);
      expect(linesOf('intake').filter((id) => !keptIds.has(id))).toEqual([]);
      expect(survived).toEqual(ids);
      expect(failures).toEqual([]);
      for (const own of Map.groupBy(kept, (event) => `${event.source} ${event.epoch}`).values())
        expect(own.map((event) => event.seq)).toEqual(own.map((_, index) => index + 1));
      // What is delivered again after a crash comes in order too: the first time each came is in the order of the log.
      for (const name of ['store', 'compute']) expect([...new Set(linesOf(name))]).toEqual(ids);
      for (const { group, checkpoint, handled } of observed) {
        const settled = new Set(linesOf(group).slice(0, handled));
        expect(ids.slice(0, checkpoint).filter((id) => !settled.has(id))).toEqual([]);
      }
    },
    ROUNDS * 20_000,
  );
});

describe('a log that is opened to read while it is written', () => {
  it(`has every acknowledged event, however often it is opened (${OPENINGS} times)`, async () => {
    start('publisher.ts', 'intake', listOf('intake'), '0');
    await waitUntil(() => linesOf('intake').length > 0);
    const openers = [0, 1].map(() => start('opener.ts', String(OPENINGS / 2)));
    for (const opener of openers) {
      await waitUntil(() => opener.exitCode !== null);
      expect(opener.exitCode).toBe(0);
    }
    await kill(children[0]!);

    const keptIds = new Set((await readAll(open('reader'))).map((event) => event.eventId));
    expect(linesOf('intake').filter((id) => !keptIds.has(id))).toEqual([]);
    expect(linesOf('intake').length).toBeGreaterThan(OPENINGS);
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
    expect(await stream.lag('metrics', 'store')).toEqual({ events: 0, oldestAgeMs: 0 });
    expect(await stream.acceptedItems('metrics')).toEqual(new Map());
    expect(await readAll(stream)).toEqual([]);
    expect(existsSync(dataPath(join(directory, 'metrics')))).toBe(false);

    const child = start('publisher.ts', 'intake', listOf('intake'), '5');
    await waitUntil(() => received.length > 100);
    await kill(child);
    const ids = (await readAll(stream)).map((event) => event.eventId);
    await waitUntil(() => received.length >= ids.length);
    await subscription.close();
    expect(received).toEqual(ids);
  }, 30_000);

  it('goes on when its own process begins to publish, also to a log that another process made', async () => {
    const child = start('publisher.ts', 'other', listOf('other'), '5');
    await waitUntil(() => linesOf('other').length > 50);
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
    await waitUntil(() => received.length > 0);
    const published = stream.publish('metrics', [newEvent('mine')]);
    await kill(child);
    await published;
    await waitUntil(() => received.includes('mine'));
    await subscription.close();
    const ids = (await readAll(stream)).map((event) => event.eventId);
    expect(received).toEqual(ids.slice(ids.indexOf(received[0]!)));
    const keptIds = new Set(ids);
    expect(linesOf('other').filter((id) => !keptIds.has(id))).toEqual([]);
  }, 30_000);
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
      const child = start('stuck-reader.ts');
      await once(child.stdout!, 'data');
      const held = await turnOver(100);
      expect(held - settled).toBeGreaterThan(1_000_000);
      await kill(child);
      log.freeDeadReaders();
      expect(await turnOver(100)).toBe(held);
    } finally {
      await log.release();
    }
  }, 30_000);
});

function open(source: string, onFailure?: (error: unknown) => void): LmdbEventStream {
  const config = { directory, source, streams: DEFAULT_RETENTION, checkpointIntervalMs: 5 };
  const stream = new LmdbEventStream(config, onFailure ? { onFailure } : {});
  streams.push(stream);
  return stream;
}

function start(program: string, ...given: readonly string[]): ChildProcess {
  const path = join(import.meta.dirname, 'processes', program);
  const child = spawn(process.execPath, [path, directory, ...given], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

function listOf(name: string): string {
  return join(directory, `${name}.list`);
}

/** What a process wrote down; a last line without an end was cut off. */
function linesOf(name: string): string[] {
  return existsSync(listOf(name)) ? readFileSync(listOf(name), 'utf8').split('\n').slice(0, -1) : [];
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

async function waitUntil(isDone: () => boolean): Promise<void> {
  while (!isDone()) await sleep(5);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
