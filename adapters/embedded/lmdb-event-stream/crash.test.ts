import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { acknowledgeInto } from '#core/contracts/acknowledge-into.ts';
import type { MachineEvent, StampedEvent } from '#core/domain/event.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { DEFAULT_RETENTION } from './config.ts';
import { LmdbEventStream } from './lmdb-event-stream.ts';
import { Children, type Child } from './testing/children.ts';
import { IdListReader } from './testing/id-list.ts';

const ROUNDS = 6;
/** What is acknowledged at least before each kill. */
const EVENTS_A_ROUND = 20;

let directory: string;
let children: Children;
let lists: Record<string, IdListReader>;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tribo-crash-'));
  children = new Children();
  lists = {};
});

afterEach(async () => {
  await children.killAll();
  rmSync(directory, { recursive: true });
});

describe('when publishers are killed without notice', () => {
  it('keeps every acknowledged event, and none that was delivered goes away', async () => {
    const stream = open('reader');
    await stream.declareGroup('metrics', 'store');
    const delivered: StampedEvent[] = [];
    const subscription = await stream.subscribe('metrics', 'store', acknowledgeInto(delivered), {
      maxBatchEvents: 500,
    });
    for (let round = 0; round < ROUNDS; round++) {
      const child = publisher('intake');
      const before = acknowledged('intake').length;
      const enough = before + EVENTS_A_ROUND;
      await children.until(`round ${round} has enough events`, () => acknowledged('intake').length >= enough);
      await sleep(10 + 37 * round);
      await child.kill();
    }
    const ids = acknowledged('intake');
    await children.until(`all ${ids.length} acknowledged events are delivered`, () => delivered.length >= ids.length);
    await drained(stream);
    await subscription.close();

    const kept = await readAll(stream);
    const keptIds = new Set(kept.map((event) => event.eventId));
    expect(ids.filter((id) => !keptIds.has(id))).toEqual([]);
    expect(delivered.map(identity)).toEqual(kept.map(identity));
    expectDenseSeqs(kept);
    expect(await stream.acceptedItems('metrics')).toEqual(new Map([['north', sumOfItems(kept)]]));
    await stream.close();
  }, 180_000);

  it('lets the next publisher wait for the lock of the one that publishes, and take over once that is killed', async () => {
    let active = publisher('one');
    await children.until('one publishes', () => acknowledged('one').length > 0);
    for (let round = 0; round < 6; round++) {
      const [ending, waiting] = round % 2 === 0 ? ['one', 'two'] : ['two', 'one'];
      const before = acknowledged(waiting).length;
      const next = publisher(waiting);
      const published = acknowledged(ending).length;
      await children.until(`${ending} goes on`, () => acknowledged(ending).length > published + 100);
      expect(acknowledged(waiting)).toHaveLength(before);
      await active.kill();
      await children.until(`${waiting} takes over`, () => acknowledged(waiting).length > before);
      active = next;
    }
    await active.kill();

    const stream = open('reader');
    const kept = await readAll(stream);
    const keptIds = new Set(kept.map((event) => event.eventId));
    for (const source of ['one', 'two']) expect(acknowledged(source).filter((id) => !keptIds.has(id))).toEqual([]);
    expectDenseSeqs(kept);
    expectCumulativeItems(kept);
    expect(await stream.acceptedItems('metrics')).toEqual(new Map([['north', sumOfItems(kept)]]));
    await stream.close();
  }, 180_000);

  it('tells a publisher that waited in vain who publishes, and what to do', async () => {
    const active = publisher('one');
    await children.until('one publishes', () => acknowledged('one').length > 0);
    const stream = new LmdbEventStream({ directory, source: 'two', streams: DEFAULT_RETENTION, writerWaitMs: 100 });
    await expect(stream.publish('metrics', [newEvent('e')])).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(
        new RegExp(`^process ${active.process.pid} \\(one\\) publishes to the stream metrics .*stop`),
      ),
    });
    await active.kill();
    await stream.publish('metrics', [newEvent('e')]);
    expect((await readAll(stream)).at(-1)!.eventId).toBe('e');
    await stream.close();
  }, 120_000);
});

function open(source: string): LmdbEventStream {
  return new LmdbEventStream({ directory, source, streams: DEFAULT_RETENTION });
}

function newEvent(eventId: string): MachineEvent {
  const key = 'north/akron/m1' as MachineKey;
  return { eventId, kind: 'telemetry', key, items: 1, acceptedAtMs: 1, payload: new Uint8Array(10) };
}

function publisher(source: string): Child {
  return children.start('publisher.ts', directory, source, join(directory, source));
}

/** The ids that the publishers of the source wrote down. */
function acknowledged(source: string): readonly string[] {
  return (lists[source] ??= new IdListReader(join(directory, source))).read();
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

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
