import type { CallOptions } from '../errors.ts';
import type { StampedEvent, StreamName } from '../domain/event.ts';
import type { MachineKey, TenantId } from '../domain/ids.ts';
import type { SettledItems } from '../domain/ledger.ts';
import type { Quality, Rejection } from '../domain/reading.ts';
import type { WaveformReference } from '../domain/waveform.ts';
import type { Progress } from './event-stream.ts';

/**
 * Readings, waveform references and derived vectors in time, and the settlement of the ledger in the same transaction.
 * Reads see settled data only. All times are milliseconds since 1970, ranges are half open: `fromMs <= ts < toMs`.
 */
export interface TimeSeriesStore {
  /**
   * Settles a batch atomically: checks the fence, drops events at or below the stored progress of their publisher, finds duplicates among
   * events marked `verifyStored` (stored under the machine, eventId and time, or rejected or dead-lettered under the machine and eventId, or
   * earlier in the batch), writes the rest, the rejections and the dead letters, adds the counters and the events that are missing between
   * others (see `missingBefore` in core/settlement), saves the progress. A second call with the same batch changes nothing. Makes one attempt; after an error the same batch may be settled again.
   * @throws PortError failed_precondition (a newer fence was seen), resource_exhausted (disk full), unavailable.
   */
  settle(batch: SettleBatch, options?: CallOptions): Promise<SettleResult>;

  /** What the group has settled of the stream, one row a publisher and epoch. */
  progress(stream: StreamName, group: string, options?: CallOptions): Promise<readonly Progress[]>;

  /**
   * Events that a group should have been given and was not, by the gaps between those that it settled; of whose tenants they were nobody knows.
   * Rows with none are left out.
   */
  lostEvents(options?: CallOptions): Promise<readonly LostEvents[]>;

  /** Counters and watermarks, read in one transaction, so that the ledger's sum is exact at any moment. */
  settled(options?: CallOptions): Promise<readonly SettledTenant[]>;

  /**
   * Points of one metric, oldest first: raw when `stepMs` is 0, else aggregates of whole buckets, from rollups where they are current and raw
   * rows elsewhere. Of several values for one time the latest accepted counts, whenever it came. Values are converted from the unit that they
   * were accepted in; those that do not convert, or that nobody knows the unit of, are left out, and the result says so. @throws PortError invalid_argument.
   */
  series(query: SeriesQuery, options?: CallOptions): Promise<SeriesResult>;

  /** The newest value of each metric of the machine. */
  latest(machine: MachineKey, options?: CallOptions): Promise<readonly LatestValue[]>;

  /** Waveform references, newest first. */
  waveforms(query: WaveformQuery, options?: CallOptions): Promise<readonly StoredWaveform[]>;
  /** The reference of one waveform of the tenant, or undefined where there is none. */
  waveform(tenant: TenantId, waveformId: string, options?: CallOptions): Promise<StoredWaveform | undefined>;

  /** Derived documents (feature vectors, predictions), newest first. */
  documents(query: DocumentQuery, options?: CallOptions): Promise<readonly StoredDocument[]>;

  /** Which of the eventIds are stored for the machine: the oracle of fault tests, and the check behind `verifyStored`. */
  storedEventIds(machine: MachineKey, range: TimeRange, options?: CallOptions): Promise<readonly string[]>;

  /** Events that could not be processed and wait for somebody, newest first. */
  deadLetters(query: PageQuery, options?: CallOptions): Promise<readonly DeadLetter[]>;
  /** Rejections that were acknowledged, newest first. */
  rejections(query: PageQuery, options?: CallOptions): Promise<readonly StoredRejection[]>;
  /** The dead letter, or undefined where the tenant has none of that id (any more). */
  deadLetter(tenant: TenantId, id: string, options?: CallOptions): Promise<DeadLetter | undefined>;
  /**
   * Moves a dead letter to its new outcome in one transaction, keeping its eventId, and says where its items are now: `deadLettered`
   * where the store itself has no room for them, and then under another id. @throws PortError not_found.
   */
  settleDeadLetter(id: string, outcome: EventOutcome, options?: CallOptions): Promise<keyof SettledItems>;

  /**
   * Deletes what was accepted longer ago than its tier keeps; a store may keep it up to a tenth of that time, or a few days, longer. Age
   * counts from acceptance, so that an import of old recordings stays as long as anything else. Newest values and dead letters stay.
   * A caller deletes the orphaned objects before it calls again. @throws PortError invalid_argument: a finer tier kept longer than a coarser.
   */
  applyRetention(policy: RetentionPolicy, nowMs: number, options?: CallOptions): Promise<RetentionResult>;

  /**
   * Writes readings of the range as Parquet files below a folder of this machine, which is made where it is not there; returns their paths
   * and row counts. Columns: tenant, site, machine, metric, unit (that it was accepted in, null where none was known), ts (a timestamp, milliseconds, UTC), value,
   * quality, accepted_order. Readings of one metric and time are all there: that with the highest accepted_order counts.
   */
  exportParquet(
    query: ExportQuery,
    folder: string,
    options?: CallOptions,
  ): Promise<readonly { readonly path: string; readonly rows: number }[]>;

  /** A consistent copy of the store below the folder while it goes on working. */
  backup(folder: string, options?: CallOptions): Promise<void>;

  /** Waits for what is under way and releases the store. Idempotent. */
  close(): Promise<void>;
}

/** `fromMs <= ts < toMs`, in milliseconds since 1970. */
export interface TimeRange {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Readings to be exported; what is absent does not narrow. */
export interface ExportQuery extends TimeRange {
  /** Only these machines; absent: all of all tenants. */
  readonly machines?: readonly MachineKey[];
}

/** What became of the events of one delivery, to be made durable together. */
export interface SettleBatch {
  readonly stream: StreamName;
  readonly group: string;
  /** The lease's fencing token: a batch with a lower one than the store has seen is refused. */
  readonly fence: number;
  /** One entry an event of the delivery, in its order. */
  readonly outcomes: readonly EventOutcome[];
  /** True where the group takes only some of the stream's events, so that a gap between two of them says nothing. */
  readonly sparse?: boolean;
}

/** What became of one event. Items: every item of the event ends in exactly one of stored (or duplicate), rejected, dead-lettered. */
export type EventOutcome =
  | {
      readonly type: 'readings';
      readonly event: StampedEvent;
      readonly ts: number;
      readonly readings: readonly ReadingRow[];
      /**
       * What the machine's catalogue says of readings without a unit, by metric; absent where nothing new is known of it. The same object as
       * long as it does not change: then it costs nothing per reading.
       */
      readonly units?: ReadonlyMap<string, string> | undefined;
    }
  | { readonly type: 'waveform'; readonly event: StampedEvent; readonly waveform: WaveformReference }
  /** A derived document (features, prediction); its numeric values also become series of the machine. */
  | { readonly type: 'document'; readonly event: StampedEvent; readonly document: DerivedDocument }
  | { readonly type: 'duplicate'; readonly event: StampedEvent }
  | { readonly type: 'rejected'; readonly event: StampedEvent; readonly rejections: readonly Rejection[] }
  | { readonly type: 'deadLettered'; readonly event: StampedEvent; readonly code: string; readonly detail: string };

/** One metric value at its message's time; without a unit it is in that of the outcome's `units`, if there is one. */
export interface ReadingRow {
  readonly metric: string;
  readonly value: number;
  readonly unit?: string;
  readonly quality?: Quality;
}

/** A feature vector, a prediction, or a window of readings, for one machine at one time. */
export interface DerivedDocument {
  readonly kind: 'features' | 'prediction' | 'window';
  /** Deterministic: hash of stage, version, machine, window; a later revision of the same id replaces the earlier. */
  readonly id: string;
  readonly revision: number;
  readonly ts: number;
  readonly sensor?: string;
  /** Numeric values that become series: metric name -> value. */
  readonly values: Readonly<Record<string, number>>;
  readonly units?: Readonly<Record<string, string>>;
  /** The whole document as JSON-able data: provenance, verdicts, reasons. */
  readonly body: unknown;
}

/** What a settlement changed. */
export interface SettleResult {
  /** Items by outcome that this call added, by tenant; redelivered events add nothing. */
  readonly added: ReadonlyMap<TenantId, SettledItems>;
  /** Events that were at or below the stored progress, and changed nothing. */
  readonly redelivered: number;
  /** Events that are missing before those of this batch: see {@link TimeSeriesStore.lostEvents}. */
  readonly lost: number;
  /**
   * Values of documents that became no points of a series, because their machine has as many series as the store allows one; the
   * documents themselves are stored. Absent for none.
   */
  readonly unseriedValues?: number;
}

/** How many events of a stream a group has missed. */
export interface LostEvents {
  readonly stream: StreamName;
  readonly group: string;
  readonly events: number;
}

/** One tenant's outcomes so far, in items. */
export interface SettledTenant {
  readonly tenant: TenantId;
  readonly settled: SettledItems;
  readonly conflicts: number;
  /** Of `settled`, what was settled at another site before its history was moved here; no watermark tells of it. Absent for none. */
  readonly imported?: number;
  /** Per ledgered stream: `cumulativeItems` of the last event settled for the tenant; of a stream in parts, that of each part, added up. */
  readonly watermarks: ReadonlyMap<StreamName, number>;
  /** Of streams in parts: what each part has in that sum. */
  readonly parts?: ReadonlyMap<StreamName, ReadonlyMap<string, number>>;
}

/** How the readings of a bucket become one number. */
export type Aggregate = 'mean' | 'min' | 'max' | 'count';

/** One metric of one machine over a range. */
export interface SeriesQuery extends TimeRange {
  readonly machine: MachineKey;
  readonly metric: string;
  /** Unit of the points; absent: the newest that values were accepted in. */
  readonly unit?: string;
  /** Bucket width; 0 gives raw points. Buckets begin at multiples of it since 1970, and the range is widened to whole buckets. */
  readonly stepMs: number;
  readonly aggregates: readonly Aggregate[];
  /** At most this many points, the earliest; the result says when there were more. */
  readonly limit: number;
}

/** Points as columns: `ts` in milliseconds since 1970, ascending, and as many values in each column. */
export interface SeriesResult {
  /** Of the points; undefined where nobody said one. */
  readonly unit: string | undefined;
  /** Units that values of the metric, not all before the range, were accepted in and that do not convert to `unit`; null for none stated. */
  readonly leftOut: readonly (string | null)[];
  /** The tier of the buckets that were rolled up; `mixed` where minutes are no longer kept for all of the range. */
  readonly source: 'raw' | '1m' | '1h' | 'mixed';
  readonly truncated: boolean;
  readonly ts: Float64Array;
  /** One column an aggregate asked for; `value` for raw points. NaN never occurs: empty buckets are absent. */
  readonly columns: Readonly<Record<string, Float64Array>>;
}

/** The newest reading of a metric. */
export interface LatestValue {
  readonly metric: string;
  readonly ts: number;
  readonly value: number;
  /** That it was accepted in: as it was sent, else the catalogue's of its time. */
  readonly unit: string | undefined;
  readonly quality: Quality;
}

/** Waveforms of one machine over a range; at most `limit`. */
export interface WaveformQuery extends TimeRange {
  readonly machine: MachineKey;
  readonly sensor?: string;
  readonly limit: number;
}

/** A waveform reference with its machine; the samples are in the object store. */
export interface StoredWaveform extends WaveformReference {
  readonly machine: MachineKey;
}

/** Derived documents of one kind of one machine over a range; at most `limit`. */
export interface DocumentQuery extends TimeRange {
  readonly machine: MachineKey;
  readonly kind: DerivedDocument['kind'];
  readonly sensor?: string;
  readonly limit: number;
}

/** A derived document with its machine, in its newest revision. */
export interface StoredDocument extends DerivedDocument {
  readonly machine: MachineKey;
}

/** Cursor paging: rows strictly after `after` in the listing's own order. */
export interface PageQuery {
  readonly tenant: TenantId;
  readonly after?: string;
  readonly limit: number;
}

/** An event that could not be processed, with the error code and what to know of it. */
export interface DeadLetter {
  readonly id: string;
  readonly machine: MachineKey;
  readonly stream: StreamName;
  readonly event: StampedEvent;
  readonly code: string;
  readonly detail: string;
  readonly atMs: number;
}

/** An item that was acknowledged and rejected, with why. */
export interface StoredRejection extends Rejection {
  readonly id: string;
  readonly machine: MachineKey;
  readonly eventId: string;
  readonly atMs: number;
}

/** The store in the hands of the one process that owns it, and keeps house for it. */
export interface OwnedTimeSeriesStore extends TimeSeriesStore {
  /** Housekeeping that is due: call it about once a second. Settlements and queries go on meanwhile. */
  maintain(nowMs: number, options?: CallOptions): Promise<unknown>;
  /** Those of the object keys, at most 10,000, that no stored waveform refers to. */
  unreferencedObjects(keys: readonly string[], options?: CallOptions): Promise<readonly string[]>;
}

/** How long each tier is kept, in days since acceptance. */
export interface RetentionPolicy {
  readonly rawDays: number;
  readonly rollup1mDays: number;
  readonly rollup1hDays: number;
  /** Waveforms, and the documents and rejections of that time. */
  readonly waveformDays: number;
}

/** What retention deleted, and what is left to the sweeper. */
export interface RetentionResult {
  readonly rowsDeleted: number;
  /** Object keys that no stored waveform refers to any more, at most 10,000 a call: the sweeper deletes them. */
  readonly orphanedObjects: readonly string[];
}
