import type { SettlementState } from '#core/settlement/settlement-state.ts';
import { PortError } from '#core/errors.ts';

/** Of the files and of all that is said here: a change of either is another form. */
export const HISTORY_FORM = 'tribo-history/1';

/** Rollups of so many days of acceptance share a part in every store, so that years of them are some hundred. */
export const ROLLUP_PART_DAYS = 8;

/**
 * What was moved has in each store the `ord` day of acceptance since 1970 times this, plus its place in the part: room for 68 thousand million
 * events a day, and exact in a double until 2328.
 */
export const ORDS_A_DAY = 2 ** 36;

const DAY_MS = 86_400_000;

/** A table of the files: its columns with their types in DuckDB, and by which of them the rows are in order, so that equal content is equal files. */
interface PartTable {
  readonly columns: Readonly<Record<string, string>>;
  readonly order: readonly string[];
}

const AGGREGATES = { series_id: 'INTEGER', ts: 'BIGINT', n: 'BIGINT', sum: 'DOUBLE', min: 'DOUBLE', max: 'DOUBLE' };

/**
 * The tables, in the order of import. Machines and series are named by their numbers in the dictionary, which are moved with them; times are
 * milliseconds since 1970. `ord` is the order of acceptance, which begins on each day anew, elsewhere in each table.
 */
const TABLES = {
  machines: { columns: { machine_id: 'INTEGER', machine_key: 'VARCHAR' }, order: ['machine_id'] },
  series: {
    columns: { series_id: 'INTEGER', machine_id: 'INTEGER', metric: 'VARCHAR', unit: 'VARCHAR' },
    order: ['series_id'],
  },
  readings: {
    columns: { series_id: 'INTEGER', ts: 'BIGINT', value: 'DOUBLE', quality: 'UTINYINT', ord: 'BIGINT' },
    order: ['series_id', 'ts', 'ord', 'value', 'quality'],
  },
  events: {
    columns: {
      ...{
        machine_id: 'INTEGER',
        ts: 'BIGINT',
        kind: 'UTINYINT',
        items: 'INTEGER',
        event_id: 'VARCHAR',
        ord: 'BIGINT',
      },
    },
    order: ['machine_id', 'ts', 'ord'],
  },
  'rollups-1m': { columns: { ...AGGREGATES, conflicts: 'BIGINT' }, order: ['series_id', 'ts'] },
  'rollups-1h': { columns: AGGREGATES, order: ['series_id', 'ts'] },
  waveforms: {
    columns: {
      ...{ ord: 'BIGINT', machine_id: 'INTEGER', waveform_id: 'VARCHAR', sensor: 'VARCHAR', ts: 'BIGINT' },
      ...{ sample_rate_hz: 'DOUBLE', unit: 'VARCHAR', encoding: 'VARCHAR', scale: 'DOUBLE', sample_count: 'BIGINT' },
      ...{ rpm: 'DOUBLE', object_key: 'VARCHAR', sha256: 'VARCHAR', accepted_at_ms: 'BIGINT' },
    },
    order: ['ord'],
  },
  documents: {
    columns: {
      ...{ ord: 'BIGINT', machine_id: 'INTEGER', kind: 'VARCHAR', document_id: 'VARCHAR', revision: 'BIGINT' },
      ...{ ts: 'BIGINT', sensor: 'VARCHAR', document: 'VARCHAR', accepted_at_ms: 'BIGINT' },
    },
    order: ['ord'],
  },
  rejections: {
    columns: {
      ...{ ord: 'BIGINT', item: 'INTEGER', tenant: 'VARCHAR', machine_id: 'INTEGER', event_id: 'VARCHAR' },
      ...{ code: 'VARCHAR', pointer: 'VARCHAR', detail: 'VARCHAR', at_ms: 'BIGINT', machine_key: 'VARCHAR' },
    },
    order: ['ord', 'item'],
  },
  'dead-letters': {
    columns: {
      ...{ ord: 'BIGINT', tenant: 'VARCHAR', machine_id: 'INTEGER', stream: 'VARCHAR', event_id: 'VARCHAR' },
      ...{ envelope: 'VARCHAR', payload: 'BLOB', code: 'VARCHAR', detail: 'VARCHAR', at_ms: 'BIGINT' },
    },
    order: ['ord'],
  },
  /** The newest value of each series, also of readings that are no longer kept. */
  latest: {
    columns: { series_id: 'INTEGER', ts: 'BIGINT', value: 'DOUBLE', quality: 'UTINYINT' },
    order: ['series_id'],
  },
  'orphaned-objects': { columns: { object_key: 'VARCHAR' }, order: ['object_key'] },
  /** What was settled and the conflicts of each tenant, and the newest time of readings that retention has dropped, by their keys. */
  ledger: { columns: { key: 'VARCHAR', value: 'BIGINT' }, order: ['key'] },
} as const satisfies Readonly<Record<string, PartTable>>;

export type PartKind = keyof typeof TABLES;

/** A part by what its name says. */
export interface HistoryPart {
  readonly name: string;
  readonly kind: PartKind;
  /** Since 1970: of acceptance, of rollups the first of {@link ROLLUP_PART_DAYS}. 0 where there is one part of the kind. */
  readonly day: number;
}

/** What a store has of the kinds that are in several parts, by days since 1970 in ascending order. */
export interface HistoryDays {
  readonly raw: readonly number[];
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
}

/** All parts of a store, in the order of import. */
export function partNames({ raw, minutes, hours }: HistoryDays): string[] {
  return (Object.keys(TABLES) as PartKind[]).flatMap((kind) => {
    if (kind === 'readings') return raw.flatMap((day) => [nameOf('readings', day), nameOf('events', day)]);
    if (kind === 'events') return [];
    if (kind === 'rollups-1m') return minutes.map((day) => nameOf(kind, day));
    if (kind === 'rollups-1h') return hours.map((day) => nameOf(kind, day));
    return [kind];
  });
}

export function nameOf(kind: PartKind, day: number): string {
  return `${kind}-${new Date(day * DAY_MS).toISOString().slice(0, 10)}`;
}

/** @throws PortError not_found */
export function partOf(name: string): HistoryPart {
  const [, dated, date] = /^(readings|events|rollups-1m|rollups-1h)-(\d{4}-\d\d-\d\d)$/.exec(name) ?? [];
  const day = date === undefined ? 0 : Date.parse(date) / DAY_MS;
  const kind = dated ?? name;
  const isKind = Object.hasOwn(TABLES, kind) && (dated !== undefined || nameOfKindAlone(kind as PartKind));
  if (!isKind || !Number.isInteger(day)) throw new PortError('not_found', `the history has no part ${name}`);
  return { name, kind: kind as PartKind, day };
}

function nameOfKindAlone(kind: PartKind): boolean {
  return partNames({ raw: [], minutes: [], hours: [] }).includes(kind);
}

export function columnsOf(kind: PartKind): readonly (readonly [name: string, type: string])[] {
  return Object.entries(TABLES[kind].columns);
}

export function orderOf(kind: PartKind): readonly string[] {
  return TABLES[kind].order;
}

/** A part that was taken in. */
export interface NotedPart {
  readonly name: string;
  readonly partId: string;
}

/**
 * Whether the part is to be taken in: false where it was. @throws PortError already_exists (the store is not empty), invalid_argument (the
 * import does not begin with its first part).
 */
export function isToBeTaken(
  { name, partId }: NotedPart,
  noted: readonly NotedPart[],
  state: Pick<SettlementState, 'hasKey'>,
): boolean {
  if (noted.some((each) => each.partId === partId)) return false;
  const isFirst = noted.length === 0;
  const isUsed = isFirst ? () => true : (key: string) => key.startsWith('["progress",');
  if (state.hasKey(isUsed)) {
    const why = isFirst ? 'holds data already' : 'has settled events since the import began';
    throw new PortError('already_exists', `the time-series store ${why}: import into an empty one`);
  }
  if (noted.some((each) => each.name === name)) {
    throw new PortError(
      'already_exists',
      `the time-series store has ${name} of another export: import into an empty one`,
    );
  }
  if (isFirst && name !== 'machines') {
    throw new PortError('invalid_argument', `an import begins with machines, not with ${name}`);
  }
  return true;
}

const SETTLED = '["settled",';

/** The ledger's numbers after the import: what was settled elsewhere is counted as `imported` of its tenant. */
export function importedLedger(moved: readonly (readonly [key: string, value: number])[]): Map<string, number> {
  const values = new Map(moved);
  for (const [key, value] of moved) {
    if (!key.startsWith(SETTLED)) continue;
    const [, tenant] = JSON.parse(key) as [string, string];
    const imported = JSON.stringify(['imported', tenant]);
    values.set(imported, (values.get(imported) ?? 0) + value);
  }
  return values;
}
