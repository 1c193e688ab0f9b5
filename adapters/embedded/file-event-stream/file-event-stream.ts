import { join } from 'node:path';
import { systemClock, type Clock } from '#core/clock.ts';
import type { MachineEvent, StampedEvent, StreamName } from '#core/domain/event.ts';
import { isName, type TenantId } from '#core/domain/ids.ts';
import { PortError, throwIfAborted, type CallOptions } from '#core/errors.ts';
import type {
  BatchHandler,
  MeasuredStream,
  PublishResult,
  ReadableTail,
  SubscribeOptions,
  Subscription,
} from '#core/ports/event-stream.ts';
import type { FileEventStreamConfig, StreamRetention } from './config.ts';
import { GroupCommitter } from './group-committer.ts';
import type { GroupPositions } from './group-file.ts';
import { GroupSubscription } from './group-subscription.ts';
import { SourceReader } from './source-reader.ts';
import { SourceWriter } from './source-writer.ts';
import { StreamLog } from './stream-log.ts';
import { readTail } from './tail-reader.ts';

const MIB = 2 ** 20;

/** What the adapter needs besides its configuration. */
export interface FileEventStreamParts {
  readonly clock?: Clock;
  /** Told of failures in the background: a log that cannot be read. Delivery is tried again. Default: a process warning. */
  readonly onFailure?: (error: unknown) => void;
}

/**
 * The event stream of one machine: append-only files, which any number of processes may publish to and read.
 *
 * A published event is durable (fdatasync) when `publish` resolves, and no consumer sees it before. A payload must not be changed after
 * it was published: consumers of the same process get that very object. Items are counted by publisher: an event's `cumulativeItems` are
 * its tenant's items of the same source.
 */
export class FileEventStream implements MeasuredStream, ReadableTail {
  readonly #config: FileEventStreamConfig;
  readonly #clock: Clock;
  readonly #onFailure: (error: unknown) => void;
  readonly #streams = new Map<StreamName, OpenStream>();
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;

  /** Opens nothing yet: a stream's files are opened when it is first used. */
  constructor(config: FileEventStreamConfig, { clock = systemClock, onFailure = warn }: FileEventStreamParts = {}) {
    checkName('source', config.source);
    this.#config = config;
    this.#clock = clock;
    this.#onFailure = onFailure;
  }

  async publish(
    stream: StreamName,
    events: readonly MachineEvent[],
    options: CallOptions = {},
  ): Promise<PublishResult> {
    const { committer } = this.#open(stream, options);
    if (events.length > 0) await abortable(committer.publish(events), options.signal);
    return ALL_DURABLE;
  }

  async declareGroup(stream: StreamName, group: string, options: CallOptions = {}): Promise<void> {
    checkName('group', group);
    const { log } = this.#open(stream, options);
    log.look();
    const positions = new Map([...log.sources].map(({ name, head }) => [name, head.nextPosition]));
    await abortable(log.groups.declare(group, positions), options.signal);
  }

  async subscribe(
    stream: StreamName,
    group: string,
    handler: BatchHandler,
    subscribe: SubscribeOptions,
  ): Promise<Subscription> {
    checkName('group', group);
    if (!Number.isInteger(subscribe.maxBatchEvents) || subscribe.maxBatchEvents < 1)
      throw new PortError('invalid_argument', `maxBatchEvents must be at least 1, got ${subscribe.maxBatchEvents}`);
    const { log, subscriptions } = this.#open(stream);
    await positionsOf(log, stream, group);
    this.#refuseIfClosed();
    const { maxHeldEvents = 10_000, maxHeldBytes = 16 * MIB, checkpointIntervalMs = 200 } = this.#config;
    const limits = { maxHeldEvents, maxHeldBytes, checkpointIntervalMs };
    const parts = { log, clock: this.#clock, onFailure: this.#onFailure };
    const subscription = new GroupSubscription({ group, handler, subscribe, ...limits, ...parts });
    subscriptions.set(subscription, group);
    return {
      close: async () => {
        await subscription.close();
        subscriptions.delete(subscription);
      },
    };
  }

  async acceptedItems(stream: StreamName, options: CallOptions = {}): Promise<ReadonlyMap<TenantId, number>> {
    const { log } = this.#open(stream, options);
    log.look();
    const accepted = new Map<TenantId, number>();
    for (const { head } of log.sources)
      for (const [tenant, items] of Object.entries(head.tenants) as [TenantId, number][])
        accepted.set(tenant, (accepted.get(tenant) ?? 0) + items);
    return accepted;
  }

  async lag(
    stream: StreamName,
    group: string,
    options: CallOptions = {},
  ): Promise<{ readonly events: number; readonly oldestAgeMs: number }> {
    checkName('group', group);
    const { log, subscriptions } = this.#open(stream, options);
    log.look();
    const active = [...subscriptions].find(([each, itsGroup]) => itsGroup === group && each.positions !== undefined);
    const positions = active?.[0].positions ?? (await positionsOf(log, stream, group));
    let events = 0;
    let oldestMs = Infinity;
    for (const { name, head, cache } of log.sources) {
      const reader = new SourceReader(log.paths.source(name), cache, () => head, positions.get(name) ?? 0);
      events += head.nextPosition - reader.position;
      const frame = await reader.frameHeader().finally(() => reader.close());
      if (frame) oldestMs = Math.min(oldestMs, frame.committedAtMs);
    }
    return { events, oldestAgeMs: events > 0 ? Math.max(0, this.#clock.nowMs() - oldestMs) : 0 };
  }

  async *readTail(
    stream: StreamName,
    limits: { readonly maxEvents: number; readonly sinceMs: number },
    options: CallOptions = {},
  ): AsyncGenerator<readonly StampedEvent[]> {
    const { log } = this.#open(stream, options);
    const signals = [this.#closing.signal, ...(options.signal ? [options.signal] : [])];
    yield* readTail(log, limits.maxEvents, limits.sinceMs, AbortSignal.any(signals));
  }

  close(): Promise<void> {
    this.#closing.abort();
    this.#closed ??= Promise.all([...this.#streams.values()].map(closeStream)).then(() => undefined);
    return this.#closed;
  }

  #open(stream: StreamName, options: CallOptions = {}): OpenStream {
    throwIfAborted(options.signal);
    this.#refuseIfClosed();
    let open = this.#streams.get(stream);
    if (!open) {
      const retention = this.#config.streams[stream];
      if (!retention) throw missingError(stream, this.#config);
      const log = StreamLog.acquire(join(this.#config.directory, stream), this.#config.tailCacheBytes ?? 16 * MIB);
      open = { log, committer: this.#committer(log, retention), subscriptions: new Map() };
      this.#streams.set(stream, open);
    }
    return open;
  }

  #committer(log: StreamLog, retention: StreamRetention): GroupCommitter {
    const { source, maxPendingBytes = 32 * MIB, freeSpaceReserveBytes = 16 * MIB } = this.#config;
    const clock = this.#clock;
    const lowestNeeded = () => log.groups.lowest(source);
    const openWriter = () =>
      SourceWriter.open({ paths: log.paths, source, clock, retention, freeSpaceReserveBytes, lowestNeeded });
    return new GroupCommitter({ log, source, clock, maxPendingBytes, openWriter, onFailure: this.#onFailure });
  }

  #refuseIfClosed(): void {
    if (this.#closed) throw new PortError('failed_precondition', 'the event stream is closed');
  }
}

/** One stream of this client. */
interface OpenStream {
  readonly log: StreamLog;
  readonly committer: GroupCommitter;
  readonly subscriptions: Map<GroupSubscription, string>;
}

const ALL_DURABLE: PublishResult = { failed: [] };

async function closeStream({ log, committer, subscriptions }: OpenStream): Promise<void> {
  await committer.close();
  await Promise.all([...subscriptions.keys()].map((subscription) => subscription.close()));
  log.release();
}

/** @throws PortError not_found for a group that was not declared. */
async function positionsOf(log: StreamLog, stream: StreamName, group: string): Promise<GroupPositions> {
  const positions = await log.groups.read(group);
  if (positions) return positions;
  throw new PortError('not_found', `no group ${group} was declared on the stream ${stream}`);
}

function missingError(stream: StreamName, { streams }: FileEventStreamConfig): PortError {
  const names = Object.keys(streams).join(', ');
  return new PortError('not_found', `there is no stream ${stream}; the configured ones are ${names}`);
}

/** Groups and sources are names of files. */
function checkName(kind: string, name: string): void {
  if (isName(name) && !name.startsWith('.')) return;
  const got = JSON.stringify(name).slice(0, 100);
  throw new PortError(
    'invalid_argument',
    `a ${kind} is 1 to 64 of A-Z a-z 0-9 _ . - and begins with no dot, got ${got}`,
  );
}

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
