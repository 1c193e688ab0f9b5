import { LEDGERED_STREAMS, type StampedEvent, type StreamName } from '../domain/event.ts';
import { machineRef, type MachineKey, type TenantId } from '../domain/ids.ts';
import type { SettledItems } from '../domain/ledger.ts';
import type { Rejection } from '../domain/reading.ts';
import type { WaveformReference } from '../domain/waveform.ts';
import type { RejectionCode } from '../ingestion/rejection.ts';
import type { DerivedDocument, EventOutcome, ReadingRow } from '../ports/time-series-store.ts';
import { MAX_SERIES_PER_MACHINE, type Dictionary, type MachineEntry } from './dictionary.ts';
import { DERIVED, QUALITY_CODES, type LatestValues } from './latest-values.ts';
import type { StateChange } from './settlement-state.ts';
import type { WrittenReadings } from './written-readings.ts';

/** One event that brought readings or a waveform. */
export interface WrittenEvent {
  readonly machineId: number;
  readonly ts: number;
  readonly kind: number;
  readonly items: number;
  readonly eventId: string;
  readonly ord: number;
}

/** A value of the rows of the tables that get few. */
export type CellValue = string | number | bigint | Uint8Array | null;

/** The kinds of the rows in an events table. */
export const EVENT_KINDS = { telemetry: 0, waveform: 1 } as const;

/** Rollups count by the minute. */
export const MINUTE_MS = 60_000;
/** (series, minute) as one number: minutes since 1970 stay below this until the year 2225. */
const MINUTES = 2 ** 27;

type Counts = { -readonly [Outcome in keyof SettledItems]: number };

interface TenantTotals {
  readonly counts: Counts;
  /** `cumulativeItems` of the last event, by stream and the part of it that they count. */
  readonly watermarks: Map<StreamName, Map<string | undefined, number>>;
}

/** Lays the outcomes of one transaction out as rows, and sums them up. Touches no memory that a failed transaction would have to undo. */
export class BatchWriter {
  /** Rows of the tables that get few. */
  readonly rows = new Map<string, CellValue[][]>();
  readonly events: WrittenEvent[] = [];
  readonly #dictionary: Dictionary;
  readonly #latest: LatestValues;
  readonly #nowMs: number;
  readonly #totals = new Map<TenantId, TenantTotals>();
  readonly #revisits = new Set<number>();
  readonly #written: WrittenReadings;
  #machine: MachineEntry | undefined;
  #ord: number;
  #unseriedValues = 0;

  constructor(
    memory: { readonly dictionary: Dictionary; readonly latest: LatestValues },
    written: WrittenReadings,
    lastOrd: number,
    nowMs: number,
  ) {
    this.#dictionary = memory.dictionary;
    this.#latest = memory.latest;
    this.#written = written;
    written.clear();
    this.#ord = lastOrd;
    this.#nowMs = nowMs;
  }

  /** The acceptance order of the newest event. */
  get ord(): number {
    return this.#ord;
  }

  /** Series in which a reading came that was not their newest. */
  get revisitedSeries(): ReadonlySet<number> {
    return new Set(Array.from(this.#revisits, (place) => Math.floor(place / MINUTES)));
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
      let parts = totals.watermarks.get(stream);
      if (!parts) totals.watermarks.set(stream, (parts = new Map<string | undefined, number>()));
      parts.set(event.part, event.cumulativeItems);
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
      for (const [stream, parts] of watermarks)
        for (const [part, items] of parts)
          change.raise(part === undefined ? ['watermark', tenant, stream] : ['watermark', tenant, stream, part], items);
      added.set(tenant, counts);
    }
    change.set(['accepted-order'], this.#ord);
    for (const place of this.#revisits) {
      const series = Math.floor(place / MINUTES);
      this.#addRow('revisits', [series, BigInt((place % MINUTES) * MINUTE_MS), BigInt(this.#ord)]);
    }
    return added;
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
    this.events.push({ machineId: machine.id, ts, kind, items: event.items, eventId: event.eventId, ord: this.#ord });
    this.#written.span(ts);
  }

  #addReadings(machine: MachineEntry, ts: number, readings: readonly ReadingRow[], flags: number): void {
    const dictionary = this.#dictionary;
    const latest = this.#latest;
    for (let i = 0; i < readings.length; i++) {
      const { metric, value, unit, quality } = readings[i]!;
      const id =
        unit === undefined ? dictionary.seriesAt(machine, i, metric) : dictionary.series(machine, metric, unit).id;
      const qualityCode = (quality === undefined ? 0 : QUALITY_CODES[quality]) + flags;
      latest.reserve(id + 1);
      if (latest.revisits(id, ts)) this.#revisits.add(id * MINUTES + Math.floor(ts / MINUTE_MS));
      this.#written.add(id, ts, value, qualityCode, this.#ord);
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
      payload,
      code,
      detail,
      BigInt(this.#nowMs),
    ]);
    return 'deadLettered';
  }

  #addRow(table: string, row: CellValue[]): void {
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
