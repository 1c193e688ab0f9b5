import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { StampedEvent } from '#core/domain/event.ts';
import { DEFAULT_RETENTION } from './config.ts';
import { LmdbEventStream } from './lmdb-event-stream.ts';

let directory: string;
let children: ChildProcess[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tribo-crash-'));
  children = [];
});

afterEach(async () => {
  await Promise.all(children.map(kill));
  rmSync(directory, { recursive: true });
});

describe('when publishers are killed without notice', () => {
  it('keeps every acknowledged event, and none that was delivered goes away', async () => {
    const stream = open('reader');
    await stream.declareGroup('metrics', 'store');
    const delivered: StampedEvent[] = [];
    const subscription = await stream.subscribe(
      'metrics',
      'store',
      async (batch) => {
        delivered.push(...batch.events);
        await batch.ack();
      },
      { maxBatchEvents: 500 },
    );
    for (let round = 0; round < 6; round++) {
      const child = publisher('intake');
      const before = acknowledged('intake').length;
      await waitUntil(() => acknowledged('intake').length > before);
      await sleep(10 + 37 * round);
      await kill(child);
    }
    const ids = acknowledged('intake');
    await waitUntil(() => delivered.length >= ids.length);
    await drained(stream);
    await subscription.close();

    const kept = await readAll(stream);
    const keptIds = new Set(kept.map((event) => event.eventId));
    expect(ids.length).toBeGreaterThan(100);
    expect(ids.filter((id) => !keptIds.has(id))).toEqual([]);
    expect(delivered.map(identity)).toEqual(kept.map(identity));
    expectDenseSeqs(kept);
    expect(await stream.acceptedItems('metrics')).toEqual(new Map([['north', sumOfItems(kept)]]));
    await stream.close();
  }, 60_000);

  it('goes on in the other publishers of the stream', async () => {
    publisher('one');
    for (let round = 0; round < 4; round++) {
      const victim = publisher('two');
      const before = [acknowledged('one').length, acknowledged('two').length];
      await waitUntil(() => acknowledged('one').length > before[0]! && acknowledged('two').length > before[1]!);
      await kill(victim);
      const afterwards = acknowledged('one').length;
      await waitUntil(() => acknowledged('one').length > afterwards + 100);
    }
    await Promise.all(children.map(kill));

    const stream = open('reader');
    const kept = await readAll(stream);
    const keptIds = new Set(kept.map((event) => event.eventId));
    for (const source of ['one', 'two']) expect(acknowledged(source).filter((id) => !keptIds.has(id))).toEqual([]);
    expectDenseSeqs(kept);
    expectCumulativeItems(kept);
    expect(await stream.acceptedItems('metrics')).toEqual(new Map([['north', sumOfItems(kept)]]));
    await stream.close();
  }, 60_000);
});

function open(source: string): LmdbEventStream {
  return new LmdbEventStream({ directory, source, streams: DEFAULT_RETENTION });
}

function publisher(source: string): ChildProcess {
  const program = join(import.meta.dirname, 'processes', 'publisher.ts');
  const child = spawn(process.execPath, [program, directory, source, join(directory, source)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  children.push(child);
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** The ids that the publishers of the source wrote down; a last line without an end was cut off. */
function acknowledged(source: string): string[] {
  const path = join(directory, source);
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8').split('\n').slice(0, -1);
}

async function readAll(stream: LmdbEventStream): Promise<StampedEvent[]> {
  const events: StampedEvent[] = [];
  for await (const block of stream.readTail('metrics', { maxEvents: Infinity, sinceMs: 0 })) events.push(...block);
  return events;
}

function expectDenseSeqs(events: readonly StampedEvent[]): void {
  for (const own of Map.groupBy(events, (event) => `${event.source} ${event.epoch}`).values())
    expect(own.map((event) => event.seq)).toEqual(own.map((_, index) => index + 1));
}

function expectCumulativeItems(events: readonly StampedEvent[]): void {
  let items = 0;
  expect(events.map((event) => event.cumulativeItems)).toEqual(events.map((event) => (items += event.items)));
}

function sumOfItems(events: readonly StampedEvent[]): number {
  return events.reduce((sum, event) => sum + event.items, 0);
}

function identity({ source, epoch, seq, eventId }: StampedEvent): string {
  return `${source} ${epoch} ${seq} ${eventId}`;
}

async function drained(stream: LmdbEventStream): Promise<void> {
  for (;;) {
    const { events } = await stream.lag('metrics', 'store');
    if (events === 0) return;
    await sleep(5);
  }
}

async function waitUntil(isDone: () => boolean): Promise<void> {
  while (!isDone()) await sleep(5);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
