import type { StampedEvent } from '#core/domain/event.ts';
import { PortError } from '#core/errors.ts';
import type { FetchedPartition, KafkaClient, PartitionReader, Positions } from './client.ts';
import { decodeRecord } from './record-codec.ts';

const MAX_WAIT_MS = 500;
/** A broker that still has nothing of what it says it has after so many questions is not answering. */
const MAX_EMPTY_ANSWERS = 20;
const BLOCK_EVENTS = 500;

/** When the record at each of the positions was published, milliseconds since 1970. */
export async function publishedAt(
  client: KafkaClient,
  topic: string,
  positions: Positions,
): Promise<readonly number[]> {
  const batches = await readOnce(client, topic, positions);
  return [...batches.values()].map(({ records }) => records[0]!.timestampMs);
}

/** The newest events of all partitions by when they were accepted, oldest first. One fetch of each partition is in memory. */
export async function* readTail(
  client: KafkaClient,
  topic: string,
  { maxEvents, sinceMs }: { readonly maxEvents: number; readonly sinceMs: number },
  signal: AbortSignal,
): AsyncGenerator<readonly StampedEvent[]> {
  // None was published before it was accepted.
  const [since, end] = await Promise.all([client.offsets(topic, { sinceMs }), client.offsets(topic, 'end')]);
  const cursors = [...end].map(([partition, stop]) => {
    const atMost = stop - BigInt(maxEvents);
    const from = since.get(partition)!;
    return { partition, next: atMost > from ? atMost : from, stop, events: [] as StampedEvent[] };
  });
  let surplus = cursors.reduce((sum, { next, stop }) => sum + Number(stop - next), 0) - maxEvents;
  const reader = client.openReader(topic);
  try {
    let block: StampedEvent[] = [];
    for await (const event of merged(reader, cursors)) {
      signal.throwIfAborted();
      if (surplus-- > 0 || event.acceptedAtMs < sinceMs) continue;
      if (block.push(event) < BLOCK_EVENTS) continue;
      yield block;
      block = [];
    }
    if (block.length > 0) yield block;
  } finally {
    await reader.close();
  }
}

interface Cursor {
  readonly partition: number;
  next: bigint;
  readonly stop: bigint;
  events: StampedEvent[];
}

/** The cursors' events, always the one that was accepted first of those that are next. */
async function* merged(reader: PartitionReader, cursors: readonly Cursor[]): AsyncGenerator<StampedEvent> {
  const places = new Map(cursors.map((cursor) => [cursor, 0]));
  for (;;) {
    await fill(
      reader,
      cursors.filter((cursor) => places.get(cursor)! >= cursor.events.length && cursor.next < cursor.stop),
      places,
    );
    let first: Cursor | undefined;
    for (const cursor of cursors) {
      const head = cursor.events[places.get(cursor)!];
      if (head && (!first || head.acceptedAtMs < first.events[places.get(first)!]!.acceptedAtMs)) first = cursor;
    }
    if (!first) return;
    const place = places.get(first)!;
    places.set(first, place + 1);
    yield first.events[place]!;
  }
}

async function fill(reader: PartitionReader, empty: readonly Cursor[], places: Map<Cursor, number>): Promise<void> {
  if (empty.length === 0) return;
  const fetched = await readEach(reader, new Map(empty.map(({ partition, next }) => [partition, next])));
  for (const cursor of empty) {
    const { records, nextOffset } = fetched.get(cursor.partition)!;
    cursor.events = records.filter(({ offset }) => offset < cursor.stop).map(decodeRecord);
    cursor.next = nextOffset;
    places.set(cursor, 0);
  }
}

async function readOnce(
  client: KafkaClient,
  topic: string,
  positions: Positions,
): Promise<ReadonlyMap<number, FetchedPartition>> {
  if (positions.size === 0) return new Map();
  const reader = client.openReader(topic);
  try {
    return await readEach(reader, positions);
  } finally {
    await reader.close();
  }
}

/** Something of every partition, from its position on. */
async function readEach(reader: PartitionReader, positions: Positions): Promise<ReadonlyMap<number, FetchedPartition>> {
  const found = new Map<number, FetchedPartition>();
  for (let answers = 0; found.size < positions.size; answers++) {
    if (answers >= MAX_EMPTY_ANSWERS)
      throw new PortError(
        'unavailable',
        `${answers} fetches brought nothing of records that are in the topic: try again`,
      );
    const missing = [...positions.keys()].filter((partition) => !found.has(partition));
    for (const [leader, partitions] of await reader.byLeader(missing)) {
      const wanted = new Map(partitions.map((partition) => [partition, positions.get(partition)!]));
      for (const each of await reader.fetch(leader, wanted, { maxWaitMs: MAX_WAIT_MS }))
        if (each.records.length > 0) found.set(each.partition, each);
    }
  }
  return found;
}
