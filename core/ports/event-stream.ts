import type { CallOptions } from '../errors.ts';
import type { MachineEvent, StampedEvent, StreamName } from '../domain/event.ts';
import type { TenantId } from '../domain/ids.ts';

/**
 * Durable, at-least-once delivery of events in order per machine. Promises no more than Kinesis, Event Hubs, Pub/Sub and
 * Kafka can all keep: no offsets, no partitions, no revocation callbacks.
 *
 * A consumer group is **declared** before anything is published and receives all events from then on.
 */
export interface EventStream {
  /**
   * Makes the events durable, in the order given for each key. Resolves once every event that is not named in `failed` is durable.
   * Makes one attempt; core/delivery retries. A batch above the provider's limit is split. Safe to call concurrently.
   * @throws PortError not_found (no such stream), failed_precondition (closed), invalid_argument (an event above MAX_EVENT_BYTES),
   * unavailable or resource_exhausted (nothing of the batch is known to be durable: disk full, throttled).
   */
  publish(stream: StreamName, events: readonly MachineEvent[], options?: CallOptions): Promise<PublishResult>;

  /** Makes the group known, so that it receives what is published from now on. Idempotent. */
  declareGroup(stream: StreamName, group: string, options?: CallOptions): Promise<void>;

  /**
   * Takes the declaration back: nothing is kept for the group any more, also not what it has still to settle. One that was never declared is
   * no error. To be called while nobody consumes by it.
   */
  forgetGroup(stream: StreamName, group: string, options?: CallOptions): Promise<void>;

  /**
   * Delivers batches to the handler, one at a time a subscription, until `close()`. A second subscription of the same group shares
   * the work or waits to take over; either way each event reaches at least one of them, in order for its key.
   * An event whose handler neither acked nor nacked it before the subscription ended is delivered again.
   */
  subscribe(stream: StreamName, group: string, handler: BatchHandler, options: SubscribeOptions): Promise<Subscription>;

  /** Stops intake, waits for publishes under way, releases what is held. Idempotent. */
  close(): Promise<void>;
}

/** Must settle the batch (ack or nack) before it resolves; a rejection counts as a nack of the whole batch. */
export type BatchHandler = (batch: DeliveryBatch, signal: AbortSignal) => Promise<void>;

/** Some events of a group, to be settled together by `ack` or `nack`. */
export interface DeliveryBatch {
  /** In order for each key. Never empty. */
  readonly events: readonly StampedEvent[];
  /** How often the oldest event of the batch has been delivered before: 0 the first time. */
  readonly redeliveries: number;
  /** Marks the whole batch as processed. Call it after the results are durable. A second call is harmless. */
  ack(): Promise<void>;
  /** Marks the batch as processed but for the events at these indexes, which come again no sooner than `delayMs`; later events of their keys wait behind them. */
  nack(failed: readonly number[], options?: { readonly delayMs?: number }): Promise<void>;
}

/** How much a subscription takes at a time, and from where. */
export interface SubscribeOptions {
  /** At most this many events a batch. */
  readonly maxBatchEvents: number;
  /** At most about this many payload bytes a batch (a single larger event still comes alone). Bounds a slow consumer's memory. */
  readonly maxBatchBytes?: number;
  /** Where the caller keeps the truth of what it has settled, it says so here; what lies at or before it need not be delivered. */
  readonly resumeAfter?: readonly Progress[];
}

/** What a sink has settled of one publisher's events on one stream. */
export interface Progress {
  readonly source: string;
  readonly epoch: number;
  readonly seq: number;
}

/** A running delivery to one handler. */
export interface Subscription {
  /** Resolves when no handler is running and none will start. What was not settled is delivered again later. */
  close(): Promise<void>;
}

/** Which events of a publish are not durable. */
export interface PublishResult {
  /** Indexes of events that are not durable, each with its error code; empty when all are. */
  readonly failed: readonly {
    readonly index: number;
    readonly code: 'unavailable' | 'resource_exhausted' | 'internal';
  }[];
}

/** A stream that can tell how much of it a group has still to settle: what the exact ledger is made of. */
export interface MeasuredStream extends EventStream {
  /**
   * Items ever made durable on the stream, by tenant: the cumulative count at its durable head. Where only its publishers can count it,
   * what another process made durable in the last second may be missing, and of one that was killed, what it had not said: as far as
   * that is in `settled` it is counted all the same, so that the count is exact once all is settled.
   */
  acceptedItems(stream: StreamName, options?: AcceptedOptions): Promise<ReadonlyMap<TenantId, number>>;
  /**
   * How far the group is behind: for back-pressure, not for the ledger.
   * @throws PortError not_found for a group that was never declared.
   */
  lag(stream: StreamName, group: string, options?: CallOptions): Promise<StreamLag>;
}

/** What the caller knows of what it settled: of a stream that counts its items by parts, and of those that were before it. */
export interface AcceptedOptions extends CallOptions {
  /**
   * Items settled of each part, by tenant, read before this is called: what was settled was accepted, unless the stream itself still knows
   * better. Under `''` those that were counted of no part: by this stream where it has no parts, else by another before this one.
   */
  readonly settled?: ReadonlyMap<TenantId, ReadonlyMap<string, number>>;
}

/** What a group has still to settle of a stream. */
export interface StreamLag {
  /** Events after the group's checkpoint. */
  readonly events: number;
  /** The age of the oldest of them; 0 without any. */
  readonly oldestAgeMs: number;
  /** How much they take of what the stream can hold, 0 to 1, about: at 1 publish is refused, or a provider lets go of the oldest. */
  readonly fullness: number;
}

/** A stream whose recent past can be read again without a group: receipts are rebuilt from it at start. */
export interface ReadableTail extends EventStream {
  /** The newest events of the stream, oldest first: at most `maxEvents`, none accepted before `sinceMs`. */
  readTail(
    stream: StreamName,
    limits: { readonly maxEvents: number; readonly sinceMs: number },
    options?: CallOptions,
  ): AsyncIterable<readonly StampedEvent[]>;
}
