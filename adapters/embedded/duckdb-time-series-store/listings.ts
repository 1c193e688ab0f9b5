import type { DuckDBConnection, DuckDBValue } from '@duckdb/node-api';
import { DuckDBBlobValue } from '@duckdb/node-api';
import type { StampedEvent, StreamName } from '#core/domain/event.ts';
import type { MachineKey, TenantId } from '#core/domain/ids.ts';
import type { WaveformEncoding } from '#core/domain/waveform.ts';
import type {
  DeadLetter,
  DerivedDocument,
  DocumentQuery,
  PageQuery,
  StoredDocument,
  StoredRejection,
  StoredWaveform,
  TimeRange,
  WaveformQuery,
} from '#core/ports/time-series-store.ts';
import type { Dictionary, MachineEntry } from '#core/settlement/dictionary.ts';
import { eventsTable, type PartList } from './parts.ts';

type Row = Record<string, DuckDBValue>;

async function rowsOf(reader: DuckDBConnection, sql: string, values: Record<string, DuckDBValue>): Promise<Row[]> {
  return (await reader.runAndReadAll(sql, values)).getRowObjects();
}

/** A waveform that was sent again under its id replaces the earlier one. */
const NEWEST_WAVEFORM =
  'QUALIFY row_number() OVER (PARTITION BY machine_id, sensor, waveform_id ORDER BY ord DESC) = 1';

export async function listWaveforms(
  reader: DuckDBConnection,
  machine: MachineEntry,
  query: WaveformQuery,
): Promise<StoredWaveform[]> {
  const rows = await rowsOf(
    reader,
    `SELECT * FROM waveforms
     WHERE machine_id = ${machine.id} AND ts >= $fromMs AND ts < $toMs ${query.sensor === undefined ? '' : 'AND sensor = $sensor'}
     ${NEWEST_WAVEFORM} ORDER BY ts DESC, ord DESC LIMIT ${query.limit}`,
    {
      fromMs: BigInt(query.fromMs),
      toMs: BigInt(query.toMs),
      ...(query.sensor === undefined ? {} : { sensor: query.sensor }),
    },
  );
  return rows.map((row) => storedWaveform(machine.key, row));
}

export async function findWaveform(
  reader: DuckDBConnection,
  dictionary: Dictionary,
  tenant: TenantId,
  waveformId: string,
): Promise<StoredWaveform | undefined> {
  const rows = await rowsOf(reader, 'SELECT * FROM waveforms WHERE waveform_id = $waveformId ORDER BY ord DESC', {
    waveformId,
  });
  for (const row of rows) {
    const machine = dictionary.machineById(row['machine_id'] as number);
    if (machine.tenant === tenant) return storedWaveform(machine.key, row);
  }
  return undefined;
}

function storedWaveform(machine: MachineKey, row: Row): StoredWaveform {
  return {
    machine,
    waveformId: row['waveform_id'] as string,
    sensor: row['sensor'] as string,
    ts: Number(row['ts']),
    sampleRateHz: row['sample_rate_hz'] as number,
    unit: row['unit'] as string,
    encoding: row['encoding'] as WaveformEncoding,
    scale: row['scale'] as number,
    sampleCount: Number(row['sample_count']),
    ...(row['rpm'] === null ? {} : { rpm: row['rpm'] as number }),
    objectKey: row['object_key'] as string,
    sha256: row['sha256'] as string,
  };
}

export async function listDocuments(
  reader: DuckDBConnection,
  machine: MachineEntry,
  query: DocumentQuery,
): Promise<StoredDocument[]> {
  const rows = await rowsOf(
    reader,
    `SELECT document FROM documents
     WHERE machine_id = ${machine.id} AND kind = $kind AND ts >= $fromMs AND ts < $toMs
       ${query.sensor === undefined ? '' : 'AND sensor = $sensor'}
     QUALIFY row_number() OVER (PARTITION BY document_id ORDER BY revision DESC, ord DESC) = 1
     ORDER BY ts DESC, ord DESC LIMIT ${query.limit}`,
    {
      kind: query.kind,
      fromMs: BigInt(query.fromMs),
      toMs: BigInt(query.toMs),
      ...(query.sensor === undefined ? {} : { sensor: query.sensor }),
    },
  );
  return rows.map((row) => ({ ...(JSON.parse(row['document'] as string) as DerivedDocument), machine: machine.key }));
}

export async function listStoredEventIds(
  reader: DuckDBConnection,
  parts: PartList,
  machine: MachineEntry,
  { fromMs, toMs }: TimeRange,
): Promise<string[]> {
  const selects = parts
    .overlapping('raw', fromMs, toMs)
    .map(
      (part) =>
        `SELECT event_id FROM ${eventsTable(part)} WHERE machine_id = ${machine.id} AND ts >= ${fromMs} AND ts < ${toMs}`,
    );
  if (selects.length === 0) return [];
  const result = await reader.runAndReadAll(selects.join(' UNION ALL '));
  return result.getColumns()[0] as string[];
}

export async function listDeadLetters(
  reader: DuckDBConnection,
  dictionary: Dictionary,
  { tenant, after, limit }: PageQuery,
): Promise<DeadLetter[]> {
  const rows = await rowsOf(
    reader,
    `SELECT * FROM dead_letters WHERE tenant = $tenant AND ord < $before ORDER BY ord DESC LIMIT ${limit}`,
    { tenant, before: after === undefined ? NEWEST : ordOf(after) },
  );
  return rows.map((row) => deadLetter(dictionary, row));
}

export async function findDeadLetter(
  reader: DuckDBConnection,
  dictionary: Dictionary,
  id: string,
): Promise<DeadLetter | undefined> {
  const [row] = await rowsOf(reader, 'SELECT * FROM dead_letters WHERE ord = $ord', { ord: ordOf(id) });
  return row && deadLetter(dictionary, row);
}

function deadLetter(dictionary: Dictionary, row: Row): DeadLetter {
  const envelope = JSON.parse(row['envelope'] as string) as Omit<StampedEvent, 'payload'>;
  return {
    id: idOf(row['ord'] as bigint),
    machine: dictionary.machineById(row['machine_id'] as number).key,
    stream: row['stream'] as StreamName,
    event: { ...envelope, payload: bytesOf(row['payload']) },
    code: row['code'] as string,
    detail: row['detail'] as string,
    atMs: Number(row['at_ms']),
  };
}

export async function listRejections(
  reader: DuckDBConnection,
  dictionary: Dictionary,
  { tenant, after, limit }: PageQuery,
): Promise<StoredRejection[]> {
  const [ord, item] = after?.split('-') ?? [];
  const rows = await rowsOf(
    reader,
    `SELECT * FROM rejections WHERE tenant = $tenant AND (ord, item) < ($ord, $item) ORDER BY ord DESC, item DESC LIMIT ${limit}`,
    { tenant, ord: ord === undefined ? NEWEST : ordOf(ord), item: Number(item ?? 0) },
  );
  return rows.map((row) => ({
    id: `${idOf(row['ord'] as bigint)}-${row['item'] as number}`,
    machine:
      row['machine_id'] === null
        ? (row['machine_key'] as MachineKey)
        : dictionary.machineById(row['machine_id'] as number).key,
    eventId: row['event_id'] as string,
    code: row['code'] as string,
    pointer: row['pointer'] as string,
    detail: row['detail'] as string,
    atMs: Number(row['at_ms']),
  }));
}

function bytesOf(value: DuckDBValue | undefined): Uint8Array {
  if (value instanceof DuckDBBlobValue) return value.bytes;
  throw new TypeError('the column holds no bytes');
}

const NEWEST = 2n ** 62n;

function idOf(ord: bigint): string {
  return ord.toString();
}

/** An id that never was one of ours is after everything: it finds nothing. */
function ordOf(id: string): bigint {
  return /^\d{1,18}$/.test(id) ? BigInt(id) : -1n;
}
