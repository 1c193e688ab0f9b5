import type { ClientBase } from 'pg';
import type { StampedEvent, StreamName } from '#core/domain/event.ts';
import type { MachineKey, TenantId } from '#core/domain/ids.ts';
import type { Quality } from '#core/domain/reading.ts';
import type { WaveformEncoding } from '#core/domain/waveform.ts';
import { qualityOf } from '#core/settlement/latest-values.ts';
import type {
  DeadLetter,
  DerivedDocument,
  DocumentQuery,
  LatestValue,
  PageQuery,
  StoredDocument,
  StoredRejection,
  StoredWaveform,
  TimeRange,
  WaveformQuery,
} from '#core/ports/time-series-store.ts';
import { acceptedWhenOf } from './partitions.ts';
import { newestReadings } from './store-memory.ts';

const MACHINE = 'machine_id = (SELECT machine_id FROM ts_machines WHERE machine_key = $1)';

export async function listLatest(client: ClientBase, machine: MachineKey): Promise<LatestValue[]> {
  const ofMachine = `series_id = ANY (ARRAY (SELECT series_id FROM ts_series WHERE ${MACHINE}))`;
  const { rows } = await client.query(
    `SELECT DISTINCT ON (metric) metric, ts, value, unit, quality FROM (${newestReadings(ofMachine)}) r JOIN ts_series USING (series_id)
     ORDER BY metric, ts DESC, ord DESC`,
    [machine],
  );
  return (rows as (Omit<LatestValue, 'unit' | 'quality'> & { unit: string | null; quality: number })[]).map((row) => ({
    ...row,
    unit: row.unit ?? undefined,
    quality: qualityOf(row.quality) satisfies Quality,
  }));
}

interface WaveformRow {
  readonly machine_key: MachineKey;
  readonly waveform_id: string;
  readonly sensor: string;
  readonly ts: number;
  readonly sample_rate_hz: number;
  readonly unit: string;
  readonly encoding: WaveformEncoding;
  readonly scale: number;
  readonly sample_count: number;
  readonly rpm: number | null;
  readonly object_key: string;
  readonly sha256: string;
}

/** A waveform that was sent again under its id replaces the earlier one. */
export async function listWaveforms(client: ClientBase, query: WaveformQuery): Promise<StoredWaveform[]> {
  const { machine, fromMs, toMs, sensor, limit } = query;
  const { rows } = await client.query(
    `SELECT $1 AS machine_key, * FROM ts_waveforms w
     WHERE ${MACHINE} AND ts >= $2 AND ts < $3 AND ($4::text IS NULL OR sensor = $4) AND NOT EXISTS (
       SELECT FROM ts_waveforms n
       WHERE n.waveform_id = w.waveform_id AND n.machine_id = w.machine_id AND n.sensor = w.sensor AND n.ord > w.ord)
     ORDER BY ts DESC, ord DESC LIMIT $5`,
    [machine, fromMs, toMs, sensor ?? null, limit],
  );
  return (rows as WaveformRow[]).map(storedWaveform);
}

export async function findWaveform(
  client: ClientBase,
  tenant: TenantId,
  waveformId: string,
): Promise<StoredWaveform | undefined> {
  const { rows } = await client.query(
    `SELECT * FROM ts_waveforms JOIN ts_machines USING (machine_id)
     WHERE waveform_id = $1 AND split_part(machine_key, '/', 1) = $2 ORDER BY ord DESC LIMIT 1`,
    [waveformId, tenant],
  );
  return (rows as WaveformRow[]).map(storedWaveform)[0];
}

function storedWaveform(row: WaveformRow): StoredWaveform {
  return {
    machine: row.machine_key,
    waveformId: row.waveform_id,
    sensor: row.sensor,
    ts: row.ts,
    sampleRateHz: row.sample_rate_hz,
    unit: row.unit,
    encoding: row.encoding,
    scale: row.scale,
    sampleCount: row.sample_count,
    ...(row.rpm !== null && { rpm: row.rpm }),
    objectKey: row.object_key,
    sha256: row.sha256,
  };
}

/** A later revision of a document replaces the earlier. */
export async function listDocuments(client: ClientBase, query: DocumentQuery): Promise<StoredDocument[]> {
  const { machine, kind, fromMs, toMs, sensor, limit } = query;
  const { rows } = await client.query(
    `SELECT document FROM ts_documents d
     WHERE ${MACHINE} AND kind = $2 AND ts >= $3 AND ts < $4 AND ($5::text IS NULL OR sensor = $5) AND NOT EXISTS (
       SELECT FROM ts_documents n
       WHERE n.document_id = d.document_id AND n.machine_id = d.machine_id AND n.kind = d.kind AND (n.revision, n.ord) > (d.revision, d.ord))
     ORDER BY ts DESC, ord DESC LIMIT $6`,
    [machine, kind, fromMs, toMs, sensor ?? null, limit],
  );
  return (rows as { document: string }[]).map(({ document }) => ({
    ...(JSON.parse(document) as DerivedDocument),
    machine,
  }));
}

export async function listStoredEventIds(client: ClientBase, machine: MachineKey, range: TimeRange): Promise<string[]> {
  const acceptedWhen = await acceptedWhenOf(client, range.fromMs, range.toMs);
  const { rows } = await client.query(
    `SELECT event_id FROM ts_events WHERE ${MACHINE} AND ts >= $2 AND ts < $3 AND ${acceptedWhen}`,
    [machine, range.fromMs, range.toMs],
  );
  return (rows as { event_id: string }[]).map(({ event_id }) => event_id);
}

interface DeadLetterRow {
  readonly ord: number;
  readonly machine_key: MachineKey;
  readonly stream: StreamName;
  readonly envelope: string;
  readonly payload: Uint8Array;
  readonly code: string;
  readonly detail: string;
  readonly at_ms: number;
}

const DEAD_LETTERS = 'SELECT * FROM ts_dead_letters JOIN ts_machines USING (machine_id)';

export async function listDeadLetters(client: ClientBase, { tenant, after, limit }: PageQuery): Promise<DeadLetter[]> {
  const { rows } = await client.query(`${DEAD_LETTERS} WHERE tenant = $1 AND ord < $2 ORDER BY ord DESC LIMIT $3`, [
    tenant,
    after === undefined ? NEWEST : ordOf(after),
    limit,
  ]);
  return (rows as DeadLetterRow[]).map(deadLetter);
}

export async function findDeadLetter(client: ClientBase, id: string): Promise<DeadLetter | undefined> {
  const { rows } = await client.query(`${DEAD_LETTERS} WHERE ord = $1`, [ordOf(id)]);
  return (rows as DeadLetterRow[]).map(deadLetter)[0];
}

function deadLetter(row: DeadLetterRow): DeadLetter {
  const envelope = JSON.parse(row.envelope) as Omit<StampedEvent, 'payload'>;
  return {
    id: String(row.ord),
    machine: row.machine_key,
    stream: row.stream,
    event: { ...envelope, payload: new Uint8Array(row.payload) },
    code: row.code,
    detail: row.detail,
    atMs: row.at_ms,
  };
}

interface RejectionRow {
  readonly ord: number;
  readonly item: number;
  readonly machine: MachineKey;
  readonly event_id: string;
  readonly code: string;
  readonly pointer: string;
  readonly detail: string;
  readonly at_ms: number;
}

export async function listRejections(
  client: ClientBase,
  { tenant, after, limit }: PageQuery,
): Promise<StoredRejection[]> {
  const [ord, item] = after?.split('-') ?? [];
  const { rows } = await client.query(
    `SELECT r.*, coalesce(m.machine_key, r.machine_key) AS machine FROM ts_rejections r LEFT JOIN ts_machines m USING (machine_id)
     WHERE tenant = $1 AND (ord, item) < ($2, $3) ORDER BY ord DESC, item DESC LIMIT $4`,
    [tenant, ord === undefined ? NEWEST : ordOf(ord), Number(item ?? 0), limit],
  );
  return (rows as RejectionRow[]).map((row) => ({
    id: `${row.ord}-${row.item}`,
    machine: row.machine,
    eventId: row.event_id,
    code: row.code,
    pointer: row.pointer,
    detail: row.detail,
    atMs: row.at_ms,
  }));
}

const NEWEST = Number.MAX_SAFE_INTEGER;

/** An id that never was one of ours is after everything: it finds nothing. */
function ordOf(id: string): number {
  return /^\d{1,15}$|^[1-8]\d{15}$/.test(id) ? Number(id) : -1;
}
