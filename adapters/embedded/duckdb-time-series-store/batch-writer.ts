import type {
  DuckDBBigIntVector,
  DuckDBDoubleVector,
  DuckDBIntegerVector,
  DuckDBUTinyIntVector,
  DuckDBVarCharVector,
  DuckDBValue,
} from '@duckdb/node-api';
import { LEDGERED_STREAMS, type StampedEvent, type StreamName } from '#core/domain/event.ts';
import { machineRef, type MachineKey, type TenantId } from '#core/domain/ids.ts';
import type { SettledItems } from '#core/domain/ledger.ts';
import type { Rejection } from '#core/domain/reading.ts';
import type { WaveformReference } from '#core/domain/waveform.ts';
import type { RejectionCode } from '#core/ingestion/rejection.ts';
import type { DerivedDocument, EventOutcome, ReadingRow } from '#core/ports/time-series-store.ts';
import { blobValue } from '@duckdb/node-api';
import { MAX_SERIES_PER_MACHINE, type Dictionary, type MachineEntry } from './dictionary.ts';
import { DERIVED, QUALITY_CODES, type LatestValues } from './latest-values.ts';
import type { Part } from './parts.ts';
import type { StateChange } from './settlement-state.ts';
import type { StoreMemory } from './store-memory.ts';
import type { TableAppender } from './table-appender.ts';
import type { WrittenReadings } from './written-readings.ts';

export type ReadingColumns = readonly [
  series: DuckDBIntegerVector,
  ts: DuckDBBigIntVector,
  value: DuckDBDoubleVector,
  quality: DuckDBUTinyIntVector,
  ord: DuckDBBigIntVector,
];
export type EventColumns = readonly [
  machine: DuckDBIntegerVector,
  ts: DuckDBBigIntVector,
  kind: DuckDBUTinyIntVector,
  items: DuckDBIntegerVector,
  eventId: DuckDBVarCharVector,
  ord: DuckDBBigIntVector,
];

/** The kinds of the rows in an events table. */
export const EVENT_KINDS = { telemetry: 0, waveform: 1 } as const;

/** Rollups count by the minute. */
export const MINUTE_MS = 60_000;
/** (series, minute) as one number: minutes since 1970 stay below this until the year 2225. */
const MINUTES = 2 ** 27;

type Counts = { -readonly [Outcome in keyof SettledItems]: number };

interface TenantTotals {
  readonly counts: Counts;
  /** `cumulativeItems` of the last event, by stream. */
  readonly watermarks: Map<StreamName, number>;
}

/** Lays the outcomes of one transaction out as rows, and sums them up. Touches no memory that a failed transaction would have to undo. */
export class BatchWriter {
  /** Rows of the tables that get few. */
  readonly rows = new Map<string, DuckDBValue[][]>();
  readonly #dictionary: Dictionary;
  readonly #latest: LatestValues;
  readonly #revisited: Set<number>;
  readonly #readings: TableAppender<ReadingColumns>;
  readonly #events: TableAppender<EventColumns>;
  readonly #nowMs: number;
  readonly #totals = new Map<TenantId, TenantTotals>();
  readonly #revisits = new Set<number>();
  readonly #written: WrittenReadings;
  #machine: MachineEntry | undefined;
  #ord: number;
  #unseriedValues = 0;

  constructor(
    memory: Pick<StoreMemory, 'dictionary' | 'latest' | 'revisited'>,
    appenders: { readonly readings: TableAppender<ReadingColumns>; readonly events: TableAppender<EventColumns> },
    written: WrittenReadings,
    lastOrd: number,
    nowMs: number,
  ) {
    this.#dictionary = memory.dictionary;
    this.#latest = memory.latest;
    this.#revisited = memory.revisited;
    this.#readings = appenders.readings;
    this.#events = appenders.events;
    this.#written = written;
    written.clear();
    this.#ord = lastOrd;
    this.#nowMs = nowMs;
  }

  /** The acceptance order of the newest event. */
  get ord(): number {
    return this.#ord;
  }

  /** Values of documents whose machine had no room for their series. */
  get unseriedValues(): number {
    return this.#unseriedValues;
  }

  /**
   * Adds one outcome, and returns where its items are counted. The stream's watermark moves unless the event was settled before and only
   * changes its outcome now.
   */
  add(stream: StreamName, outcome: EventOutcome, watermark: 'moves' | 'stays' = 'moves'): keyof SettledItems {
    this.#ord += 1;
    const { event } = outcome;
    const isStranger = isOfUnknownMachine(outcome) && this.#dictionary.find(event.key) === undefined;
    const totals = this.#totalsOf(isStranger ? machineRef(event.key).tenant : this.#machineOf(event.key).tenant);
    const counted = isStranger
      ? this.#addRejections(undefined, event, outcome.rejections)
      : this.#addRows(stream, this.#machineOf(event.key), outcome);
    totals.counts[counted] += event.items;
    if (watermark === 'moves' && (LEDGERED_STREAMS as readonly StreamName[]).includes(stream)) {
      totals.watermarks.set(stream, event.cumulativeItems);
    }
    return counted;
  }

  /** Adds to the counters and moves the watermarks; returns the items added by tenant. */
  sumUp(change: StateChange): Map<TenantId, SettledItems> {
    const added = new Map<TenantId, SettledItems>();
    for (const [tenant, { counts, watermarks }] of this.#totals) {
      for (const outcome of Object.keys(counts) as (keyof Counts)[]) {
        change.add(['settled', tenant, outcome], counts[outcome]);
      }
      for (const [stream, items] of watermarks) change.raise(['watermark', tenant, stream], items);
      added.set(tenant, counts);
    }
    change.set(['accepted-order'], this.#ord);
    for (const place of this.#revisits) {
      const series = Math.floor(place / MINUTES);
      this.#revisited.add(series);
      this.#addRow('revisits', [series, BigInt((place % MINUTES) * MINUTE_MS), BigInt(this.#ord)]);
    }
    return added;
  }

  /** After the commit: newest values and the part's figures. Returns how many readings there were. */
  committed(part: Part): number {
    this.#written.applyTo(this.#latest);
    part.rows += this.#written.count;
    part.minTs = Math.min(part.minTs, this.#written.minTs);
    part.maxTs = Math.max(part.maxTs, this.#written.maxTs);
    return this.#written.count;
  }

  #addRows(stream: StreamName, machine: MachineEntry, outcome: EventOutcome): keyof SettledItems {
    const { event } = outcome;
    switch (outcome.type) {
      case 'readings':
        if (outcome.units !== undefined) this.#dictionary.useUnits(machine, outcome.units);
        if (!this.#dictionary.hasRoom(machine, outcome.readings)) {
          const detail = `a machine has at most ${MAX_SERIES_PER_MACHINE} metrics`;
          return this.#addDeadLetter(stream, machine, event, 'too_many_metrics', detail);
        }
        this.#addEvent(machine, outcome.ts, EVENT_KINDS.telemetry, event);
        this.#addReadings(machine, outcome.ts, outcome.readings, 0);
        return 'stored';
      case 'waveform':
        this.#addEvent(machine, outcome.waveform.ts, EVENT_KINDS.waveform, event);
        return this.#addWaveform(machine, event, outcome.waveform);
      case 'document':
        return this.#addDocument(machine, event, outcome.document);
      case 'duplicate':
        return 'duplicate';
      case 'rejected':
        return this.#addRejections(machine, event, outcome.rejections);
      case 'deadLettered':
        return this.#addDeadLetter(stream, machine, event, outcome.code, outcome.detail);
    }
  }

  #addEvent(machine: MachineEntry, ts: number, kind: number, event: StampedEvent): void {
    const events = this.#events;
    const row = events.row;
    const columns = events.columns;
    columns[0].setItem(row, machine.id);
    columns[1].setItem(row, BigInt(ts));
    columns[2].setItem(row, kind);
    columns[3].setItem(row, event.items);
    columns[4].setItem(row, event.eventId);
    columns[5].setItem(row, BigInt(this.#ord));
    events.endRow();
    this.#written.span(ts);
  }

  #addReadings(machine: MachineEntry, ts: number, readings: readonly ReadingRow[], flags: number): void {
    const dictionary = this.#dictionary;
    const latest = this.#latest;
    const table = this.#readings;
    const [series, times, values, qualities, ords] = table.columns;
    const time = BigInt(ts);
    const ord = BigInt(this.#ord);
    for (let i = 0; i < readings.length; i++) {
      const { metric, value, unit, quality } = readings[i]!;
      const id =
        unit === undefined ? dictionary.seriesAt(machine, i, metric) : dictionary.series(machine, metric, unit).id;
      const qualityCode = (quality === undefined ? 0 : QUALITY_CODES[quality]) + flags;
      const row = table.row;
      series.setItem(row, id);
      times.setItem(row, time);
      values.setItem(row, value);
      qualities.setItem(row, qualityCode);
      ords.setItem(row, ord);
      table.endRow();
      latest.reserve(id + 1);
      if (latest.revisits(id, ts)) this.#revisits.add(id * MINUTES + Math.floor(ts / MINUTE_MS));
      this.#written.add(id, ts, value, qualityCode);
    }
  }

  #addWaveform(machine: MachineEntry, event: StampedEvent, waveform: WaveformReference): 'stored' {
    this.#addRow('waveforms', [
      BigInt(this.#ord),
      machine.id,
      waveform.waveformId,
      waveform.sensor,
      BigInt(waveform.ts),
      waveform.sampleRateHz,
      waveform.unit,
      waveform.encoding,
      waveform.scale,
      BigInt(waveform.sampleCount),
      waveform.rpm ?? null,
      waveform.objectKey,
      waveform.sha256,
      BigInt(event.acceptedAtMs),
    ]);
    return 'stored';
  }

  #addDocument(machine: MachineEntry, event: StampedEvent, document: DerivedDocument): 'stored' {
    this.#addRow('documents', [
      BigInt(this.#ord),
      machine.id,
      document.kind,
      document.id,
      BigInt(document.revision),
      BigInt(document.ts),
      document.sensor ?? null,
      JSON.stringify(document),
      BigInt(event.acceptedAtMs),
    ]);
    const readings = Object.entries(document.values).map(([metric, value]): ReadingRow => {
      const unit = document.units?.[metric];
      return unit === undefined ? { metric, value } : { metric, value, unit };
    });
    this.#written.span(document.ts);
    if (this.#dictionary.hasRoom(machine, readings)) this.#addReadings(machine, document.ts, readings, DERIVED);
    else this.#unseriedValues += readings.length;
    return 'stored';
  }

  /** Without a machine its name is written out: see {@link isOfUnknownMachine}. */
  #addRejections(machine: MachineEntry | undefined, event: StampedEvent, rejections: readonly Rejection[]): 'rejected' {
    const tenant = machine?.tenant ?? machineRef(event.key).tenant;
    rejections.forEach(({ code, pointer, detail }, item) =>
      this.#addRow('rejections', [
        BigInt(this.#ord),
        item,
        tenant,
        machine?.id ?? null,
        event.eventId,
        code,
        pointer,
        detail,
        BigInt(event.acceptedAtMs),
        machine === undefined ? event.key : null,
      ]),
    );
    return 'rejected';
  }

  #addDeadLetter(
    stream: StreamName,
    machine: MachineEntry,
    event: StampedEvent,
    code: string,
    detail: string,
  ): 'deadLettered' {
    const { payload, ...envelope } = event;
    this.#addRow('dead_letters', [
      BigInt(this.#ord),
      machine.tenant,
      machine.id,
      stream,
      event.eventId,
      JSON.stringify(envelope),
      blobValue(payload),
      code,
      detail,
      BigInt(this.#nowMs),
    ]);
    return 'deadLettered';
  }

  #addRow(table: string, row: DuckDBValue[]): void {
    const rows = this.rows.get(table);
    if (rows) rows.push(row);
    else this.rows.set(table, [row]);
  }

  #machineOf(key: MachineKey): MachineEntry {
    if (this.#machine?.key !== key) this.#machine = this.#dictionary.machine(key);
    return this.#machine;
  }

  #totalsOf(tenant: TenantId): TenantTotals {
    const known = this.#totals.get(tenant);
    if (known) return known;
    const totals = { counts: { stored: 0, duplicate: 0, rejected: 0, deadLettered: 0 }, watermarks: new Map() };
    this.#totals.set(tenant, totals);
    return totals;
  }
}

type RejectedOutcome = Extract<EventOutcome, { readonly type: 'rejected' }>;

/**
 * A sender may make up machine names without end, and a machine's number in the dictionary is for ever: so the rejection of a machine that
 * nobody has described gets none.
 */
function isOfUnknownMachine(outcome: EventOutcome): outcome is RejectedOutcome {
  return outcome.type === 'rejected' && outcome.rejections.every(({ code }) => code === UNKNOWN_MACHINE);
}

const UNKNOWN_MACHINE: RejectionCode = 'unknown_machine';
