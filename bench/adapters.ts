import { runPostgresStoreBench } from './postgres-store.ts';

/** One adapter against its peer, next to a bare client on the same peer in the same run. */
export interface AdapterBenchRow {
  readonly adapter: string;
  /** What is counted. */
  readonly does: string;
  readonly perS: number;
  readonly barePerS: number;
  readonly ratio: number;
  /** Of a call. */
  readonly p95Ms: number;
  /** Processor time of this process, not of the peer. */
  readonly cpuUsPerItem: number;
  readonly notes: string;
}

const BENCHES: Readonly<Record<string, (seconds: number) => Promise<AdapterBenchRow>>> = {
  'postgres-time-series-store': runPostgresStoreBench,
};

/** The adapters named, or all. */
export async function runAdaptersBench(names: readonly string[], seconds: number): Promise<AdapterBenchRow[]> {
  const unknown = names.filter((name) => !Object.hasOwn(BENCHES, name));
  if (unknown.length > 0)
    throw new Error(`there is no bench of ${unknown.join(', ')}: ${Object.keys(BENCHES).join(', ')}`);
  const rows: AdapterBenchRow[] = [];
  for (const [name, run] of Object.entries(BENCHES)) {
    if (names.length === 0 || names.includes(name)) rows.push(await run(seconds));
  }
  return rows;
}

export function adaptersMarkdown(rows: readonly AdapterBenchRow[]): string {
  return [
    '| Adapter | Counted | /s | Bare client /s | Ratio | p95 of a call | CPU an item | Notes |',
    '|---|---|---|---|---|---|---|---|',
    ...rows.map(
      ({ adapter, does, perS, barePerS, ratio, p95Ms, cpuUsPerItem, notes }) =>
        `| ${adapter} | ${does} | ${perS.toLocaleString('en')} | ${barePerS.toLocaleString('en')} | ${ratio.toFixed(2)} | ${p95Ms.toFixed(0)} ms | ${cpuUsPerItem.toFixed(2)} us | ${notes} |`,
    ),
  ].join('\n');
}
