import { join } from 'node:path';
import { StoredRows } from '#adapters/embedded/duckdb-time-series-store/testing/stored-rows.ts';
import { machineKey, type MachineId, type SiteId, type TenantId } from '#core/domain/ids.ts';
import { SITE, TENANT } from './platform-process.ts';

/** What a test knows of what it sent, and what the platform said of it in the end. */
export interface Sent {
  readonly machines: readonly string[];
  /** Ids of the messages that were acknowledged, of these machines. */
  readonly acknowledged: readonly string[];
  /** Values by metric of the message that was sent under an id; undefined where none was. */
  readonly readingsOf: (id: string) => Readonly<Record<string, number>> | undefined;
  /** The platform's last ledger, of all machines. */
  readonly ledger: { readonly stored: number };
}

/** What was sent against the rows that the store holds. */
export interface Comparison {
  /** Messages, by their ids. */
  readonly stored: number;
  /** Rows of their readings. */
  readonly readings: number;
  /** Acknowledged and not stored, the first of them. */
  readonly missing: readonly string[];
  /** Stored more than once, the first of them. */
  readonly twice: readonly string[];
  /** Stored and never sent, the first of them. */
  readonly neverSent: readonly string[];
  /** Readings of stored messages that have no row, the first of them, as machine, metric, time and value. */
  readonly lostReadings: readonly string[];
  /** Rows that no stored message accounts for, the first of them. */
  readonly strayReadings: readonly string[];
  /** Items that the ledger counts as stored, less the rows of all machines. */
  readonly miscounted: number;
}

/** A comparison that finds nothing wrong. */
export const NOTHING_WRONG = {
  missing: [],
  twice: [],
  neverSent: [],
  lostReadings: [],
  strayReadings: [],
  miscounted: 0,
} as const satisfies Partial<Comparison>;

const SHOWN = 5;

/**
 * Reads the rows of a platform that has stopped, and compares them as sets with what was sent: the ids of messages with those that were
 * acknowledged, and each reading's row with the message that carried it, since either could be lost without the other.
 */
export async function compareWithStored(
  dataDir: string,
  { machines, acknowledged, readingsOf, ledger }: Sent,
): Promise<Comparison> {
  using rows = await StoredRows.open(join(dataDir, 'time-series'));
  const once = new Set<string>();
  const twice: string[] = [];
  const neverSent: string[] = [];
  const lostReadings: string[] = [];
  const strayReadings: string[] = [];
  let readings = 0;
  for (const machine of machines) {
    const key = machineKey(TENANT as TenantId, SITE as SiteId, machine as MachineId);
    const expected = new Multiset();
    for (const { eventId, ts } of await rows.eventsOf(key)) {
      if (once.has(eventId)) twice.push(eventId);
      once.add(eventId);
      const sent = readingsOf(eventId);
      if (!sent) neverSent.push(eventId);
      for (const [metric, value] of Object.entries(sent ?? {})) expected.add(`${machine} ${metric} ${ts} ${value}`);
    }
    for (const { metric, ts, value } of await rows.readingsOf(key)) {
      readings += 1;
      const reading = `${machine} ${metric} ${ts} ${value}`;
      if (!expected.take(reading)) strayReadings.push(reading);
    }
    lostReadings.push(...expected.first(SHOWN));
  }
  return {
    stored: once.size,
    readings,
    missing: acknowledged.filter((id) => !once.has(id)).slice(0, SHOWN),
    twice: twice.slice(0, SHOWN),
    neverSent: neverSent.slice(0, SHOWN),
    lostReadings: lostReadings.slice(0, SHOWN),
    strayReadings: strayReadings.slice(0, SHOWN),
    miscounted: ledger.stored - (await rows.items()),
  };
}

class Multiset {
  readonly #counts = new Map<string, number>();

  add(item: string): void {
    this.#counts.set(item, (this.#counts.get(item) ?? 0) + 1);
  }

  /** False where none of it is left. */
  take(item: string): boolean {
    const count = this.#counts.get(item) ?? 0;
    if (count > 1) this.#counts.set(item, count - 1);
    else this.#counts.delete(item);
    return count > 0;
  }

  first(most: number): string[] {
    return [...this.#counts.keys()].slice(0, most);
  }
}
