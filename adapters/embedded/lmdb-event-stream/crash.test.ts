import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { MachineEvent, StampedEvent } from '#core/domain/event.ts';
import type { MachineKey } from '#core/domain/ids.ts';
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

  it('lets the next publisher wait for the lock of the one that publishes, and take over once that is killed', async () => {
    let active = publisher('one');
    await waitUntil(() => acknowledged('one').length > 0);
    for (let round = 0; round < 6; round++) {
      const [ending, waiting] = round % 2 === 0 ? ['one', 'two'] : ['two', 'one'];
      const before = acknowledged(waiting).length;
      const next = publisher(waiting);
      const published = acknowledged(ending).length;
      await waitUntil(() => acknowledged(ending).length > published + 100);
      expect(acknowledged(waiting)).toHaveLength(before);
      await kill(active);
      await waitUntil(() => acknowledged(waiting).length > before);
      active = next;
    }
    await kill(active);

    const stream = open('reader');
    const kept = await readAll(stream);
    const keptIds = new Set(kept.map((event) => event.eventId));
    for (const source of ['one', 'two']) expect(acknowledged(source).filter((id) => !keptIds.has(id))).toEqual([]);
    expectDenseSeqs(kept);
    expectCumulativeItems(kept);
    expect(await stream.acceptedItems('metrics')).toEqual(new Map([['north', sumOfItems(kept)]]));
    await stream.close();
  }, 60_000);

  it('tells a publisher that waited in vain who publishes, and what to do', async () => {
    const active = publisher('one');
    await waitUntil(() => acknowledged('one').length > 0);
    const stream = new LmdbEventStream({ directory, source: 'two', streams: DEFAULT_RETENTION, writerWaitMs: 100 });
    await expect(stream.publish('metrics', [newEvent('e')])).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(
        new RegExp(`^process ${active.pid} \\(one\\) publishes to the stream metrics .*stop`),
      ),
    });
    await kill(active);
    await stream.publish('metrics', [newEvent('e')]);
    expect((await readAll(stream)).at(-1)!.eventId).toBe('e');
    await stream.close();
  }, 30_000);
});

function open(source: string): LmdbEventStream {
  return new LmdbEventStream({ directory, source, streams: DEFAULT_RETENTION });
}

function newEvent(eventId: string): MachineEvent {
  const key = 'north/akron/m1' as MachineKey;
  return { eventId, kind: 'telemetry', key, items: 1, acceptedAtMs: 1, payload: new Uint8Array(10) };
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
