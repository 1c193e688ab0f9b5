import { runPostgresStoreBench } from './postgres-store.ts';
import { STREAM_PEERS } from './streams/peers.ts';
import { runStreamBench } from './streams/run.ts';

/** One adapter against its peer, next to a bare client on the same peer in the same run. */
export interface AdapterBenchRow {
  readonly adapter: string;
  /** What is counted. */
  readonly does: string;
  readonly perS: number;
  readonly barePerS?: number;
  readonly ratio?: number;
  readonly mbPerS?: number;
  /** Of a call, or from publish to handler. */
  readonly p95Ms?: number;
  readonly bareP95Ms?: number;
  /** Processor time of the client's process, not of the peer. */
  readonly cpuUsPerItem?: number;
  readonly bareCpuUsPerItem?: number;
  readonly notes: string;
}

export interface BenchLength {
  /** Of the adapter under load, about. */
  readonly seconds: number;
  /** Turns of the adapter and the bare client. */
  readonly rounds: number;
}

type AdapterBench = (length: BenchLength) => Promise<readonly AdapterBenchRow[]>;

const BENCHES: Readonly<Record<string, AdapterBench>> = {
  'postgres-time-series-store': ({ seconds }) => runPostgresStoreBench(seconds),
  ...Object.fromEntries(
    Object.keys(STREAM_PEERS).map((adapter): [string, AdapterBench] => [
      adapter,
      (length) => runStreamBench(adapter, length),
    ]),
  ),
};

/** The adapters named, or all. */
export async function runAdaptersBench(names: readonly string[], length: BenchLength): Promise<AdapterBenchRow[]> {
  const unknown = names.filter((name) => !Object.hasOwn(BENCHES, name));
  if (unknown.length > 0)
    throw new Error(`there is no bench of ${unknown.join(', ')}: ${Object.keys(BENCHES).join(', ')}`);
  const rows: AdapterBenchRow[] = [];
  for (const [name, run] of Object.entries(BENCHES)) {
    if (names.length === 0 || names.includes(name)) rows.push(...(await run(length)));
  }
  return rows;
}

export function adaptersMarkdown(rows: readonly AdapterBenchRow[]): string {
  return [
    '| Adapter | Counted | /s | MB/s | Bare client /s | Ratio | p95, ms | bare | CPU an item, us | bare | Notes |',
    '|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---|',
    ...rows.map((row) => `| ${cells(row).join(' | ')} |`),
  ].join('\n');
}

function cells(row: AdapterBenchRow): readonly string[] {
  const { adapter, does, perS, mbPerS, barePerS, ratio, p95Ms, bareP95Ms, cpuUsPerItem, bareCpuUsPerItem, notes } = row;
  const fixed = (value: number | undefined, digits: number): string => value?.toFixed(digits) ?? '';
  return [
    ...[adapter, does, perS.toLocaleString('en'), fixed(mbPerS, 1), barePerS?.toLocaleString('en') ?? ''],
    ...[fixed(ratio, 2), fixed(p95Ms, 1), fixed(bareP95Ms, 1)],
    ...[fixed(cpuUsPerItem, 2), fixed(bareCpuUsPerItem, 2), notes],
  ];
}
