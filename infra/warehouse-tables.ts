import type { PartKind } from '../adapters/history-parts.ts';

/** Types that each query engine has a word for; a byte is a number of 0 to 255. */
export type ColumnType = 'text' | 'byte' | 'int' | 'long' | 'double' | 'flag' | 'json';

/** A table over files that Tribo writes: a test compares its columns with what the writer has. */
export interface WarehouseTable {
  readonly name: string;
  readonly means: string;
  readonly columns: Readonly<Record<string, ColumnType>>;
}

/** Below it are exports of the history in the bucket of objects, one folder a table: `history/readings/`. */
export const HISTORY_PREFIX = 'history/';

const AGGREGATES = { series_id: 'int', ts: 'long', n: 'long', sum: 'double', min: 'double', max: 'double' } as const;

/** What of an export (`tribo site export`) somebody asks questions of: files of Parquet, times in milliseconds since 1970. */
export const HISTORY_TABLES: Readonly<Partial<Record<PartKind, WarehouseTable>>> = {
  machines: {
    name: 'machines',
    means: 'Machines by the number that other tables name them by',
    columns: { machine_id: 'int', machine_key: 'text' },
  },
  series: {
    name: 'series',
    means: 'A metric of a machine, by the number that other tables name it by',
    columns: { series_id: 'int', machine_id: 'int', metric: 'text', unit: 'text' },
  },
  readings: {
    name: 'readings',
    means: 'Single readings',
    columns: { series_id: 'int', ts: 'long', value: 'double', quality: 'byte', ord: 'long' },
  },
  'rollups-1m': {
    name: 'rollups_1m',
    means: 'Readings of a minute together',
    columns: { ...AGGREGATES, conflicts: 'long' },
  },
  'rollups-1h': { name: 'rollups_1h', means: 'Readings of an hour together', columns: AGGREGATES },
  waveforms: {
    name: 'waveforms',
    means: 'Waveforms, and which object has their samples',
    columns: {
      ...{ ord: 'long', machine_id: 'int', waveform_id: 'text', sensor: 'text', ts: 'long' },
      ...{ sample_rate_hz: 'double', unit: 'text', encoding: 'text', scale: 'double', sample_count: 'long' },
      ...{ rpm: 'double', object_key: 'text', sha256: 'text', accepted_at_ms: 'long' },
    },
  },
};

/** The raw archive: an object of JSON a line, below `raw/{tenant}/{site}/{day}/{hour}/`, compressed with gzip. */
export const RAW_TABLE: WarehouseTable = {
  name: 'raw_messages',
  means: 'Messages as they were admitted, where switches.rawArchive keeps them',
  columns: {
    machine: 'text',
    kind: 'text',
    acceptedAtMs: 'long',
    imported: 'flag',
    eventId: 'text',
    text: 'text',
    body: 'json',
  },
};
