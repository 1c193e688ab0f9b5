import type { ClientBase } from 'pg';
import type { MachineKey } from '#core/domain/ids.ts';
import { Dictionary, type SavedSeries } from '#core/settlement/dictionary.ts';
import { LatestValues } from '#core/settlement/latest-values.ts';
import { SettlementState, type StateKey } from '#core/settlement/settlement-state.ts';
import { ROLLED_ORD } from './marks.ts';

/**
 * What settlements know without asking. It holds as long as the database has the version that it was read at, which every settlement checks
 * under its lock: where another process has settled since, all is read anew.
 */
export interface StoreMemory {
  version: number;
  readonly dictionary: Dictionary;
  readonly state: SettlementState;
  readonly latest: LatestValues;
  /** Days of acceptance that have partitions. */
  readonly days: Set<number>;
}

export async function loadMemory(client: ClientBase, version: number): Promise<StoreMemory> {
  const dictionary = await loadDictionary(client);
  const latest = new LatestValues();
  latest.reserve(dictionary.seriesCount);
  for (const [series, ts, value, quality] of await arrays(client, NEWEST_OF_ALL)) {
    latest.update(series as number, ts as number, value as number, quality as number);
  }
  const days = await arrays(client, 'SELECT day FROM ts_days');
  return {
    version,
    dictionary,
    state: await loadState(client),
    latest,
    days: new Set(days.map(([day]) => day as number)),
  };
}

export async function loadState(client: ClientBase): Promise<SettlementState> {
  const rows = await arrays(client, 'SELECT key, value FROM ts_ledger_state');
  return new SettlementState(rows as [string, number][]);
}

/** The beginning of a key of the ledger's state. */
type StateScope = readonly [StateKey[0], ...string[]];

/** Of the ledger's state only the numbers whose keys begin so: what was settled of publishers of years is most of it. */
export async function loadStateOf(client: ClientBase, ...scopes: readonly StateScope[]): Promise<SettlementState> {
  const { rows } = await client.query<[string, number]>({
    text: STATE_OF,
    values: [scopes.map((scope) => JSON.stringify(scope).slice(0, -1))],
    rowMode: 'array',
  });
  return new SettlementState(rows);
}

/** In the table's order of bytes `-` comes right after `,`: between them are the keys that go on after the scope. */
const STATE_OF = `
  SELECT key, value FROM unnest($1::text[]) AS scope
  JOIN ts_ledger_state ON key >= (scope || ',') COLLATE "C" AND key < (scope || '-') COLLATE "C"`;

const NEWEST_OF_ALL = newestReadings('true');

/** SQL of the newest reading of each series that the condition takes: (series_id, ts, value, quality, ord); the last accepted of its time. */
export function newestReadings(condition: string): string {
  return `
    SELECT DISTINCT ON (series_id) series_id, ts, value, quality, ord FROM (
      SELECT series_id, ts, value, quality, ord FROM ts_latest WHERE ${condition}
      UNION ALL
      SELECT series_id, ts, value, quality, ord FROM ts_readings WHERE ord > ${ROLLED_ORD} AND ${condition}
    ) r ORDER BY series_id, ts DESC, ord DESC`;
}

async function loadDictionary(client: ClientBase): Promise<Dictionary> {
  const machines = await arrays(client, 'SELECT machine_key FROM ts_machines ORDER BY machine_id');
  const series = await arrays(client, 'SELECT machine_id, metric, unit FROM ts_series ORDER BY series_id');
  return Dictionary.from(
    machines.map(([key]) => key as MachineKey),
    series.map(([machineId, metric, unit]): SavedSeries => ({
      machineId: machineId as number,
      metric: metric as string,
      unit: unit as string | null,
    })),
  );
}

async function arrays(client: ClientBase, text: string): Promise<unknown[][]> {
  return (await client.query<unknown[]>({ text, rowMode: 'array' })).rows;
}
