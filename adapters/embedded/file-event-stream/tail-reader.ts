import type { StampedEvent } from '#core/domain/event.ts';
import { throwIfAborted } from '#core/errors.ts';
import { SourceReader } from './source-reader.ts';
import type { StreamLog } from './stream-log.ts';

/** Blocks read before the event loop gets a turn. */
const BLOCKS_A_TURN = 16;

/** The newest events of all sources, oldest first as they were committed: at most so many, none accepted before `sinceMs`. */
export async function* readTail(
  log: StreamLog,
  maxEvents: number,
  sinceMs: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly StampedEvent[]> {
  log.look();
  const tails = [...log.sources].map((source) => {
    const { head } = source;
    const start = Math.max(head.firstPosition, head.nextPosition - maxEvents);
    return { head, reader: new SourceReader(log.paths.source(source.name), source.cache, () => head, start) };
  });
  try {
    let excess = tails.reduce((sum, { head, reader }) => sum + head.nextPosition - reader.position, 0) - maxEvents;
    for (let blocks = 1; ; blocks++) {
      throwIfAborted(signal);
      const oldest = await oldestOf(tails.map(({ reader }) => reader));
      if (!oldest) return;
      const { reader, events } = oldest;
      reader.moveTo(reader.position + events.length);
      const wanted = events.slice(Math.max(0, excess)).filter((event) => event.acceptedAtMs >= sinceMs);
      excess -= events.length;
      if (wanted.length > 0) yield wanted;
      if (blocks % BLOCKS_A_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    for (const { reader } of tails) await reader.close();
  }
}

/** The next events of the source whose next event was accepted first. */
async function oldestOf(readers: readonly SourceReader[]) {
  let oldest: { readonly reader: SourceReader; readonly events: readonly StampedEvent[] } | undefined;
  for (const reader of readers) {
    const block = await reader.block();
    if (!block) continue;
    const events = block.events.slice(reader.position - block.firstPosition);
    if (!oldest || events[0]!.acceptedAtMs < oldest.events[0]!.acceptedAtMs) oldest = { reader, events };
  }
  return oldest;
}
