import type { Clock } from '#core/clock.ts';
import type { JournalEntry } from '#core/domain/alarm.ts';
import type { AlarmId, TenantId } from '#core/domain/ids.ts';
import type { AlarmJournal } from '#core/ports/alarm-journal.ts';
import type { AlarmEvent } from '../schemas/events.ts';
import { actionOf, alarmView } from '../views.ts';

/** A change of an alarm as the stream sends it; `id` is what a client gives back to go on after it. */
export interface AlarmChange {
  readonly id: string;
  readonly event: AlarmEvent;
}

/** Entries may become readable a little after their time of recording: this much is read again. */
const OVERLAP_MS = 2000;
const MAX_SEEN = 20_000;
const PAGE = 500;
/** More than this was missed: the client reads the list anew. */
const MAX_RESUMED = 2000;

type Entry = JournalEntry & { readonly machine: string };

/** Follows the journal of one tenant from the moment it is made. Each entry is told once, with the alarm as it is then. */
export class AlarmFeed {
  readonly #journal: AlarmJournal;
  readonly #tenant: TenantId;
  readonly #clock: Clock;
  readonly #seen = new Set<string>();
  readonly #madeAtMs: number;
  #newestMs: number;
  #begun = false;

  constructor(journal: AlarmJournal, tenant: TenantId, clock: Clock) {
    this.#journal = journal;
    this.#tenant = tenant;
    this.#clock = clock;
    this.#madeAtMs = this.#newestMs = clock.nowMs();
  }

  /** What was recorded since the last call; at the first, since the feed was made. */
  async next(): Promise<readonly AlarmChange[]> {
    // A clock that was set back records what follows under earlier times.
    const fromMs = Math.min(this.#newestMs, this.#clock.nowMs()) - OVERLAP_MS;
    const fresh: Entry[] = [];
    for await (const entry of entriesSince(this.#journal, this.#tenant, fromMs)) {
      const id = entryId(entry);
      if (this.#seen.has(id)) continue;
      this.#remember(id);
      this.#newestMs = Math.max(this.#newestMs, entry.recordedAtMs);
      if (this.#begun || entry.recordedAtMs >= this.#madeAtMs) fresh.push(entry);
    }
    this.#begun = true;
    return changesOf(this.#journal, this.#tenant, fresh);
  }

  #remember(id: string): void {
    this.#seen.add(id);
    for (const oldest of this.#seen) {
      if (this.#seen.size <= MAX_SEEN) break;
      this.#seen.delete(oldest);
    }
  }
}

/** What was recorded after the change with that id; undefined when it cannot be told, or is too much to send. */
export async function changesAfter(
  journal: AlarmJournal,
  tenant: TenantId,
  lastEventId: string,
): Promise<readonly AlarmChange[] | undefined> {
  const [, recordedAt] = /^(\d{1,15})\..{1,200}\.\d{1,9}$/.exec(lastEventId) ?? [];
  if (recordedAt === undefined) return undefined;
  let found = false;
  const missed: Entry[] = [];
  for await (const entry of entriesSince(journal, tenant, Number(recordedAt))) {
    if (found) missed.push(entry);
    else found = entryId(entry) === lastEventId;
    if (missed.length > MAX_RESUMED) return undefined;
  }
  return found ? changesOf(journal, tenant, missed) : undefined;
}

async function* entriesSince(journal: AlarmJournal, tenant: TenantId, fromMs: number): AsyncIterable<Entry> {
  for (let after: string | undefined; ;) {
    const page = await journal.entries({
      tenant,
      fromMs,
      toMs: Number.MAX_SAFE_INTEGER,
      limit: PAGE,
      ...(after !== undefined && { after }),
    });
    yield* page.entries;
    if (page.next === undefined) return;
    after = page.next;
  }
}

/** One change an alarm: the newest, as each carries the alarm as it is now. */
async function changesOf(
  journal: AlarmJournal,
  tenant: TenantId,
  entries: readonly Entry[],
): Promise<readonly AlarmChange[]> {
  const newest = new Map<AlarmId, Entry>();
  for (const entry of entries) {
    newest.delete(entry.alarmId);
    newest.set(entry.alarmId, entry);
  }
  const changes = await Promise.all(
    [...newest.values()].map(async (entry): Promise<AlarmChange | undefined> => {
      const alarm = await journal.alarm(tenant, entry.alarmId);
      return alarm && { id: entryId(entry), event: { change: actionOf(entry.transition), alarm: alarmView(alarm) } };
    }),
  );
  return changes.filter((change) => change !== undefined);
}

function entryId({ recordedAtMs, alarmId, sequence }: Entry): string {
  return `${recordedAtMs}.${alarmId}.${sequence}`;
}
