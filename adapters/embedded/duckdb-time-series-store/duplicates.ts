import type { DuckDBConnection } from '@duckdb/node-api';
import type { StampedEvent } from '#core/domain/event.ts';
import type { EventOutcome } from '#core/ports/time-series-store.ts';
import { EVENT_KINDS } from './batch-writer.ts';
import type { Dictionary } from './dictionary.ts';
import { eventsTable, type PartList } from './parts.ts';
import { insertRows } from './table-appender.ts';

/**
 * Indexes of the outcomes whose event is marked `verifyStored` and was settled before: under its machine, kind, eventId and time among the
 * stored events, or under its machine and eventId among rejections and dead letters, or earlier in the same batch.
 */
export async function findDuplicates(
  connection: DuckDBConnection,
  memory: { readonly dictionary: Dictionary; readonly parts: PartList },
  outcomes: readonly EventOutcome[],
): Promise<ReadonlySet<number>> {
  const marked = outcomes.flatMap((outcome, index) =>
    outcome.event.verifyStored && outcome.type !== 'duplicate' ? [index] : [],
  );
  if (marked.length === 0) return new Set();
  const duplicates = repeatedWithin(outcomes, new Set(marked));
  for (const index of await findStored(connection, memory, outcomes, marked)) duplicates.add(index);
  return duplicates;
}

function repeatedWithin(outcomes: readonly EventOutcome[], marked: ReadonlySet<number>): Set<number> {
  const seen = new Set<string>();
  const repeated = new Set<number>();
  outcomes.forEach(({ type, event }, index) => {
    if (type === 'duplicate') return;
    const name = `${event.kind}/${event.key}/${event.eventId}`;
    if (marked.has(index) && seen.has(name)) repeated.add(index);
    seen.add(name);
  });
  return repeated;
}

async function findStored(
  connection: DuckDBConnection,
  { dictionary, parts }: { readonly dictionary: Dictionary; readonly parts: PartList },
  outcomes: readonly EventOutcome[],
  marked: readonly number[],
): Promise<number[]> {
  let minTs = Infinity;
  let maxTs = -Infinity;
  const asked = marked.flatMap((index) => {
    const outcome = outcomes[index]!;
    const machine = dictionary.find(outcome.event.key);
    if (!machine) return [];
    const ts = timeOf(outcome);
    minTs = Math.min(minTs, ts);
    maxTs = Math.max(maxTs, ts);
    return [[index, machine.id, kindOf(outcome.event), BigInt(ts), outcome.event.eventId]];
  });
  if (asked.length === 0) return [];
  await connection.run(
    'CREATE OR REPLACE TEMP TABLE asked (place INTEGER, machine_id INTEGER, kind UTINYINT, ts BIGINT, event_id VARCHAR)',
  );
  await insertRows(connection, 'asked', asked);
  const stored = parts
    .overlapping('raw', minTs, maxTs + 1)
    .map((part) => `SELECT place FROM asked JOIN ${eventsTable(part)} USING (machine_id, ts, kind, event_id)`);
  const result = await connection.runAndReadAll(
    [
      ...stored,
      'SELECT place FROM asked JOIN rejections USING (machine_id, event_id)',
      'SELECT place FROM asked JOIN dead_letters USING (machine_id, event_id)',
    ].join(' UNION '),
  );
  return result.getRows().map(([place]) => place as number);
}

function kindOf(event: StampedEvent): number {
  return event.kind === 'waveform' ? EVENT_KINDS.waveform : EVENT_KINDS.telemetry;
}

/** The time that a stored event would have: a resent message has the time it had before. */
function timeOf(outcome: EventOutcome): number {
  switch (outcome.type) {
    case 'readings':
      return outcome.ts;
    case 'waveform':
      return outcome.waveform.ts;
    default:
      return outcome.event.acceptedAtMs;
  }
}
