import { systemClock, type Clock } from '#core/clock.ts';
import type { MachineEvent, StampedEvent, StreamName } from '#core/domain/event.ts';
import type { TenantId } from '#core/domain/ids.ts';
import { PortError, throwIfAborted, type CallOptions } from '#core/errors.ts';
import type {
  BatchHandler,
  MeasuredStream,
  PublishResult,
  ReadableTail,
  SubscribeOptions,
  Subscription,
} from '#core/ports/event-stream.ts';
import type { LmdbEventStreamConfig } from './config.ts';
import { checkGroupName } from './log-file.ts';
import { StreamLog } from './stream-log.ts';

/** What the adapter needs besides its configuration. */
export interface LmdbEventStreamParts {
  readonly clock?: Clock;
  /** Told of failures in the background: a log that cannot be read. Delivery is tried again. Default: a process warning. */
  readonly onFailure?: (error: unknown) => void;
}

/**
 * The event stream of one machine: an LMDB environment a stream, which any number of processes may publish to and read.
 *
 * A published event is durable (fdatasync) when `publish` resolves, and no consumer sees it before. A payload must not be changed after
 * it was published: consumers of the same process get that very object.
 */
export class LmdbEventStream implements MeasuredStream, ReadableTail {
  readonly #config: LmdbEventStreamConfig;
  readonly #clock: Clock;
  readonly #onFailure: (error: unknown) => void;
  readonly #logs = new Map<StreamName, StreamLog>();
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;

  /** Opens nothing yet: a stream's files are opened when it is first used. */
  constructor(config: LmdbEventStreamConfig, { clock = systemClock, onFailure = warn }: LmdbEventStreamParts = {}) {
    this.#config = config;
    this.#clock = clock;
    this.#onFailure = onFailure;
  }

  async publish(
    stream: StreamName,
    events: readonly MachineEvent[],
    options: CallOptions = {},
  ): Promise<PublishResult> {
    const log = this.#open(stream, options);
    if (events.length > 0) await abortable(log.publish(events), options.signal);
    return ALL_DURABLE;
  }

  async declareGroup(stream: StreamName, group: string, options: CallOptions = {}): Promise<void> {
    checkGroupName(group);
    this.#open(stream, options).declareGroup(group);
  }

  async subscribe(
    stream: StreamName,
    group: string,
    handler: BatchHandler,
    options: SubscribeOptions,
  ): Promise<Subscription> {
    checkGroupName(group);
    if (!Number.isInteger(options.maxBatchEvents) || options.maxBatchEvents < 1)
      throw new PortError('invalid_argument', `maxBatchEvents must be at least 1, got ${options.maxBatchEvents}`);
    return this.#open(stream).subscribe(group, handler, options);
  }

  async acceptedItems(stream: StreamName, options: CallOptions = {}): Promise<ReadonlyMap<TenantId, number>> {
    return this.#open(stream, options).acceptedItems() as ReadonlyMap<string, number> as ReadonlyMap<TenantId, number>;
  }

  async lag(
    stream: StreamName,
    group: string,
    options: CallOptions = {},
  ): Promise<{ readonly events: number; readonly oldestAgeMs: number }> {
    checkGroupName(group);
    return this.#open(stream, options).lag(group);
  }

  async *readTail(
    stream: StreamName,
    limits: { readonly maxEvents: number; readonly sinceMs: number },
    options: CallOptions = {},
  ): AsyncGenerator<readonly StampedEvent[]> {
    const signals = [this.#closing.signal, ...(options.signal ? [options.signal] : [])];
    yield* this.#open(stream, options).readTail(limits.maxEvents, limits.sinceMs, AbortSignal.any(signals));
  }

  close(): Promise<void> {
    this.#closing.abort();
    this.#closed ??= Promise.all([...this.#logs.values()].map((log) => log.close())).then(() => undefined);
    return this.#closed;
  }

  #open(stream: StreamName, options: CallOptions = {}): StreamLog {
    throwIfAborted(options.signal);
    if (this.#closed) throw new PortError('failed_precondition', 'the event stream is closed');
    let log = this.#logs.get(stream);
    if (!log) {
      const retention = this.#config.streams[stream];
      if (!retention)
        throw new PortError('not_found', `there is no stream ${stream}; the configured ones are ${this.#names()}`);
      const parts = { clock: this.#clock, onFailure: this.#onFailure };
      this.#logs.set(stream, (log = new StreamLog({ config: this.#config, stream, retention, ...parts })));
    }
    return log;
  }

  #names(): string {
    return Object.keys(this.#config.streams).join(', ');
  }
}

const ALL_DURABLE: PublishResult = { failed: [] };

/** The result, or `cancelled` as soon as the caller stops waiting; the work goes on. */
async function abortable<Result>(work: Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
  if (!signal) return work;
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(new PortError('cancelled', 'the caller stopped waiting', { cause: signal.reason }));
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    if (onAbort) signal.removeEventListener('abort', onAbort);
  }
}

function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : String(error));
}
