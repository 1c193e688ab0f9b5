import { systemClock, type Clock } from '#core/clock.ts';
import { orStopWaiting } from '#core/stop-waiting.ts';
import { acceptedBehindParts } from '#core/delivery/accepted-in-parts.ts';
import { checkGroupName } from '#core/delivery/group-name.ts';
import type { MachineEvent, StampedEvent, StreamName } from '#core/domain/event.ts';
import type { TenantId } from '#core/domain/ids.ts';
import { PortError, throwIfAborted, type CallOptions } from '#core/errors.ts';
import type {
  AcceptedOptions,
  BatchHandler,
  MeasuredStream,
  PublishResult,
  ReadableTail,
  StreamLag,
  SubscribeOptions,
  Subscription,
} from '#core/ports/event-stream.ts';
import type { LmdbEventStreamConfig } from './config.ts';
import { StreamLog } from './stream-log.ts';

/** What the adapter needs besides its configuration. */
export interface LmdbEventStreamParts {
  readonly clock?: Clock;
  /** Told of failures in the background: a log that cannot be read, a checkpoint that cannot be saved. They are tried again. Default: a process warning. */
  readonly onFailure?: (error: unknown) => void;
}

/**
 * The event stream of one machine: an LMDB environment a stream, to which one process at a time publishes, from as many clients as it likes,
 * and which any number of processes read. Any of them may be killed: docs/adr/0005-embedded-stores-and-their-processes.md.
 *
 * A published event is durable (fdatasync) when `publish` resolves, and no consumer sees it before. A payload must not be changed after
 * it was published: consumers of the same process get that very object.
 */
export class LmdbEventStream implements MeasuredStream, ReadableTail {
  readonly #config: LmdbEventStreamConfig;
  readonly #clock: Clock;
  readonly #onFailure: (error: unknown) => void;
  readonly #logs = new Map<StreamName, Promise<StreamLog>>();
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
    const opened = this.#open(stream, options);
    if (!(this.#config.publishes?.includes(stream) ?? true)) throw this.#foreignError(stream);
    if (events.length === 0) return ALL_DURABLE;
    const published = opened.then((log) => log.publish(events));
    await orStopWaiting(published, options.signal);
    return ALL_DURABLE;
  }

  async declareGroup(stream: StreamName, group: string, options: CallOptions = {}): Promise<void> {
    checkGroupName(group);
    const log = await this.#open(stream, options);
    await log.declareGroup(group);
  }

  async forgetGroup(stream: StreamName, group: string, options: CallOptions = {}): Promise<void> {
    checkGroupName(group);
    const log = await this.#open(stream, options);
    await log.forgetGroup(group);
  }

  async subscribe(
    stream: StreamName,
    group: string,
    handler: BatchHandler,
    options: SubscribeOptions,
  ): Promise<Subscription> {
    checkGroupName(group);
    const log = await this.#open(stream);
    return log.subscribe(group, handler, options);
  }

  async acceptedItems(stream: StreamName, options: AcceptedOptions = {}): Promise<ReadonlyMap<TenantId, number>> {
    const log = await this.#open(stream, options);
    return acceptedBehindParts(
      log.acceptedItems() as ReadonlyMap<string, number> as ReadonlyMap<TenantId, number>,
      options.settled,
    );
  }

  async lag(stream: StreamName, group: string, options: CallOptions = {}): Promise<StreamLag> {
    checkGroupName(group);
    const log = await this.#open(stream, options);
    return log.lag(group);
  }

  async *readTail(
    stream: StreamName,
    limits: { readonly maxEvents: number; readonly sinceMs: number },
    options: CallOptions = {},
  ): AsyncGenerator<readonly StampedEvent[]> {
    const signals = [this.#closing.signal, ...(options.signal ? [options.signal] : [])];
    const log = await this.#open(stream, options);
    yield* log.readTail(limits.maxEvents, limits.sinceMs, AbortSignal.any(signals));
  }

  close(): Promise<void> {
    this.#closing.abort();
    this.#closed ??= Promise.all(
      [...this.#logs.values()].map((opening) =>
        opening.then(
          (log) => log.close(),
          () => undefined,
        ),
      ),
    ).then(() => undefined);
    return this.#closed;
  }

  /** The very promise, each time: what waits for it goes on in the order of the calls. */
  #open(stream: StreamName, options: CallOptions = {}): Promise<StreamLog> {
    throwIfAborted(options.signal);
    if (this.#closed) throw new PortError('failed_precondition', 'the event stream is closed');
    let log = this.#logs.get(stream);
    if (!log) {
      const retention = this.#config.streams[stream];
      if (!retention)
        throw new PortError('not_found', `there is no stream ${stream}; the configured ones are ${this.#names()}`);
      const parts = { clock: this.#clock, onFailure: this.#onFailure };
      log = StreamLog.open({ config: this.#config, stream, retention, ...parts });
      this.#logs.set(stream, log);
      log.catch(() => this.#logs.delete(stream));
    }
    return log;
  }

  #foreignError(stream: StreamName): PortError {
    return new PortError(
      'failed_precondition',
      `this process (${this.#config.source}) does not publish to the stream ${stream}, another one does: ask that one, or run the platform in one process`,
    );
  }

  #names(): string {
    return Object.keys(this.#config.streams).join(', ');
  }
}

const ALL_DURABLE: PublishResult = { failed: [] };

function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? (error.stack ?? error.message) : String(error));
}
