import { randomUUID } from 'node:crypto';
import { systemClock, type Clock } from '#core/clock.ts';
import { deliveryLimits } from '#core/delivery/delivery-window.ts';
import type { StreamAccounts } from '#core/delivery/accounts/stream-accounts.ts';
import { checkGroupName } from '#core/delivery/group-name.ts';
import { logAccounts } from '#core/delivery/log-accounts.ts';
import { LogPublisher } from '#core/delivery/log-publisher.ts';
import { SettledBefore } from '#core/delivery/settled-before.ts';
import type { MachineEvent, StampedEvent, StreamName } from '#core/domain/event.ts';
import type { TenantId } from '#core/domain/ids.ts';
import { PortError, throwIfAborted, type CallOptions } from '#core/errors.ts';
import type { CheckpointStore } from '#core/ports/checkpoint-store.ts';
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
import { orStopWaiting } from '#core/stop-waiting.ts';
import { openEventHubs, type EventHubsClient } from './client.ts';
import type { EventHubsEventStreamConfig } from './config.ts';
import { decodeEvent } from './event-codec.ts';
import { hasConsumerGroup, subscribeToPartitions } from './group-subscription.ts';
import { HubLog } from './hub-log.ts';
import { eventsAfter, partitionStates, type HubReader } from './hub-reader.ts';
import { readTail } from './hub-tail.ts';
import { openLeaseBlobs, type LeaseBlobs } from './lease-blobs.ts';
import { PartitionLeases, type PartitionLease } from './partition-leases.ts';

const NOTHING_BEHIND: StreamLag = { events: 0, oldestAgeMs: 0, fullness: 0 };

/** What the adapter needs besides its configuration. */
export interface EventHubsEventStreamParts {
  /** Where publishers say what they published: one for all processes that use the streams. */
  readonly checkpoints: Pick<CheckpointStore, 'load' | 'save'>;
  readonly clock?: Clock;
  /** Told of failures in the background, which are tried again. Default: a process warning. */
  readonly onFailure?: (error: unknown) => void;
}

/**
 * Streams that are event hubs: each partition is a source of its own, and a group is a consumer group of the hub with a lease a partition in
 * blobs, which says whose the partition is and how far the group is.
 */
export class EventHubsEventStream implements MeasuredStream, ReadableTail {
  readonly #config: EventHubsEventStreamConfig;
  readonly #client: EventHubsClient;
  readonly #blobs: LeaseBlobs;
  readonly #checkpoints: EventHubsEventStreamParts['checkpoints'];
  readonly #clock: Clock;
  readonly #onFailure: (error: unknown) => void;
  /** No other publisher has it, also not one with the same configuration at the same time. */
  readonly #source: string;
  readonly #publishers = new Map<StreamName, Promise<LogPublisher>>();
  readonly #accounts = new Map<StreamName, StreamAccounts>();
  readonly #subscriptions = new Set<Subscription>();
  readonly #publishing = new Set<Promise<unknown>>();
  readonly #closing = new AbortController();
  #lastEpoch = 0;
  #closed: Promise<void> | undefined;

  /** Connects at the first call. @throws PortError failed_precondition where the SDK is not installed. */
  static async open(
    config: EventHubsEventStreamConfig,
    parts: EventHubsEventStreamParts,
  ): Promise<EventHubsEventStream> {
    return new EventHubsEventStream(config, await openEventHubs(config), await openLeaseBlobs(config), parts);
  }

  private constructor(
    config: EventHubsEventStreamConfig,
    client: EventHubsClient,
    blobs: LeaseBlobs,
    { checkpoints, clock = systemClock, onFailure = warn }: EventHubsEventStreamParts,
  ) {
    this.#config = config;
    this.#client = client;
    this.#blobs = blobs;
    this.#checkpoints = checkpoints;
    this.#clock = clock;
    this.#onFailure = onFailure;
    this.#source = `${config.source}-${randomUUID().slice(0, 8)}`;
  }

  async publish(
    stream: StreamName,
    events: readonly MachineEvent[],
    { signal }: CallOptions = {},
  ): Promise<PublishResult> {
    const publisher = this.#publisherOf(stream, signal);
    if (events.length === 0) return { failed: [] };
    const published = publisher.then((each) => each.publish(events));
    const settled = published.catch(() => undefined).finally(() => this.#publishing.delete(settled));
    this.#publishing.add(settled);
    return orStopWaiting(published, signal);
  }

  async declareGroup(stream: StreamName, group: string, { signal }: CallOptions = {}): Promise<void> {
    const { hub, consumerGroup, leases } = this.#groupOf(stream, group, signal);
    await this.#checkConsumerGroup(hub, consumerGroup, group, signal);
    if (await leases.list(signal)) return;
    const states = await partitionStates(this.#readerOf(hub), await this.#partitionsOf(hub, signal), signal);
    for (const [partition, { last }] of states) await leases.create(partition, last, signal);
    await leases.declare(signal);
  }

  async forgetGroup(stream: StreamName, group: string, { signal }: CallOptions = {}): Promise<void> {
    await this.#groupOf(stream, group, signal).leases.forget(signal);
  }

  async subscribe(
    stream: StreamName,
    group: string,
    handler: BatchHandler,
    options: SubscribeOptions,
  ): Promise<Subscription> {
    const { hub, consumerGroup, leases } = this.#groupOf(stream, group, undefined);
    const limits = deliveryLimits(options, this.#config);
    await this.#leaseNewPartitions(hub, leases, await this.#declaredLeases(leases, stream, group));
    this.#throwIfClosed();
    const { leaseMs, checkpointIntervalMs, receiveWaitMs } = this.#config;
    const consumer = this.#client.openConsumer(hub, consumerGroup);
    const [clock, onFailure, settled] = [this.#clock, this.#onFailure, new SettledBefore(options.resumeAfter)];
    const parts = { clock, hub, consumer, limits, settled, decode: decodeEvent, handler, receiveWaitMs, onFailure };
    const reading = subscribeToPartitions(parts, { leases, leaseMs, checkpointIntervalMs });
    const subscription = {
      close: async () => {
        await reading.close();
        this.#subscriptions.delete(subscription);
      },
    };
    this.#subscriptions.add(subscription);
    return subscription;
  }

  async acceptedItems(stream: StreamName, options: AcceptedOptions = {}): Promise<ReadonlyMap<TenantId, number>> {
    const hub = this.#hubOf(stream, options.signal);
    return this.#accountsOf(stream, hub).acceptedItems(options);
  }

  async lag(stream: StreamName, group: string, { signal }: CallOptions = {}): Promise<StreamLag> {
    const { hub, leases } = this.#groupOf(stream, group, signal);
    const reader = this.#readerOf(hub);
    const positions = await this.#declaredLeases(leases, stream, group, signal);
    const partitions = positions.map(({ partition }) => partition);
    const states = await partitionStates(reader, partitions, signal);
    const behind = new Map<number, number>();
    let events = 0;
    for (const { partition, position } of positions) {
      const { first, last, isEmpty } = states.get(partition)!;
      const from = Math.max(position + 1, first);
      if (isEmpty || from > last) continue;
      behind.set(partition, from - 1);
      events += last - from + 1;
    }
    if (events === 0) return NOTHING_BEHIND;
    const oldest = [...(await eventsAfter(reader, behind, signal)).values()].map(({ enqueuedAtMs }) => enqueuedAtMs);
    const oldestAgeMs = Math.max(0, this.#clock.nowMs() - Math.min(...oldest));
    return { events, oldestAgeMs, fullness: Math.max(1, oldestAgeMs) / this.#config.retentionMs };
  }

  async *readTail(
    stream: StreamName,
    limits: { readonly maxEvents: number; readonly sinceMs: number },
    { signal }: CallOptions = {},
  ): AsyncGenerator<readonly StampedEvent[]> {
    const hub = this.#hubOf(stream, signal);
    const stopped = AbortSignal.any([this.#closing.signal, ...(signal ? [signal] : [])]);
    try {
      yield* readTail(this.#readerOf(hub), await this.#partitionsOf(hub, stopped), limits, stopped);
    } catch (error) {
      throwIfAborted(signal);
      this.#throwIfClosed();
      throw error;
    }
  }

  close(): Promise<void> {
    this.#closing.abort();
    this.#closed ??= (async () => {
      await Promise.all([...this.#subscriptions].map((each) => each.close()));
      await Promise.all(this.#publishing);
      await Promise.all([...this.#accounts.values()].map((each) => each.close()));
      await this.#client.close();
    })();
    return this.#closed;
  }

  /** The very promise, each time: what waits for it goes on in the order of the calls. */
  #publisherOf(stream: StreamName, signal: AbortSignal | undefined): Promise<LogPublisher> {
    const hub = this.#hubOf(stream, signal);
    let publisher = this.#publishers.get(stream);
    if (!publisher) {
      const { maxPendingBytes } = this.#config;
      const source = this.#source;
      const nextEpoch = (): number => (this.#lastEpoch = Math.max(this.#clock.nowMs(), this.#lastEpoch + 1));
      const accounts = this.#accountsOf(stream, hub);
      publisher = HubLog.open(this.#client, hub).then(
        (log) =>
          new LogPublisher({
            ...{ log, source, nextEpoch, maxPendingBytes },
            published: (epoch) => accounts.published(epoch),
          }),
      );
      this.#publishers.set(stream, publisher);
      publisher.catch(() => this.#publishers.delete(stream));
    }
    return publisher;
  }

  #accountsOf(stream: StreamName, hub: string): StreamAccounts {
    let accounts = this.#accounts.get(stream);
    if (!accounts) {
      accounts = logAccounts({
        ...{ checkpoints: this.#checkpoints, name: `event-hubs/${hub}`, saveEveryMs: this.#config.accountEveryMs },
        ...{ clock: this.#clock, onFailure: this.#onFailure },
      });
      this.#accounts.set(stream, accounts);
    }
    return accounts;
  }

  async #checkConsumerGroup(
    hub: string,
    consumerGroup: string,
    group: string,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (await hasConsumerGroup(this.#client, hub, consumerGroup, signal)) return;
    throw new PortError(
      'failed_precondition',
      `the event hub ${hub} has no consumer group ${consumerGroup} for the group ${group}: it is made with the site, or named by consumerGroups`,
    );
  }

  async #declaredLeases(
    leases: PartitionLeases,
    stream: StreamName,
    group: string,
    signal?: AbortSignal,
  ): Promise<readonly PartitionLease[]> {
    const declared = await leases.list(signal);
    if (declared) return declared;
    throw new PortError(
      'not_found',
      `the group ${group} of the stream ${stream} was never declared: call declareGroup first`,
    );
  }

  /** Of partitions that were added since the group was declared: all of them is the group's. */
  async #leaseNewPartitions(hub: string, leases: PartitionLeases, known: readonly PartitionLease[]): Promise<void> {
    const leased = new Set(known.map(({ partition }) => partition));
    for (const partition of await this.#partitionsOf(hub))
      if (!leased.has(partition)) await leases.create(partition, -1);
  }

  async #partitionsOf(hub: string, signal?: AbortSignal): Promise<readonly number[]> {
    return [...Array(await this.#client.partitionCount(hub, signal)).keys()];
  }

  #groupOf(
    stream: StreamName,
    group: string,
    signal: AbortSignal | undefined,
  ): { readonly hub: string; readonly consumerGroup: string; readonly leases: PartitionLeases } {
    checkGroupName(group);
    const hub = this.#hubOf(stream, signal);
    const consumerGroup = this.#config.consumerGroups[group] ?? group;
    return { hub, consumerGroup, leases: new PartitionLeases(this.#blobs, hub, group) };
  }

  #readerOf(hub: string): HubReader {
    const { tailConsumerGroup: consumerGroup, timeoutMs } = this.#config;
    return { client: this.#client, hub, consumerGroup, timeoutMs };
  }

  #hubOf(stream: StreamName, signal: AbortSignal | undefined): string {
    throwIfAborted(signal);
    this.#throwIfClosed();
    const hub = this.#config.streams[stream];
    if (hub !== undefined) return hub;
    const names = Object.keys(this.#config.streams).join(', ');
    throw new PortError('not_found', `there is no stream ${stream}; the configured ones are ${names}`);
  }

  #throwIfClosed(): void {
    if (this.#closed) throw new PortError('failed_precondition', 'the event stream is closed');
  }
}

function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? (error.stack ?? error.message) : String(error));
}
