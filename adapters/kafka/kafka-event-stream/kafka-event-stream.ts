import { randomUUID } from 'node:crypto';
import { systemClock, type Clock } from '#core/clock.ts';
import { orStopWaiting } from '#core/stop-waiting.ts';
import { deliveryLimits } from '#core/delivery/delivery-window.ts';
import { checkGroupName } from '#core/delivery/group-name.ts';
import type { StreamAccounts } from '#core/delivery/accounts/stream-accounts.ts';
import { logAccounts } from '#core/delivery/log-accounts.ts';
import { LogPublisher } from '#core/delivery/log-publisher.ts';
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
import { openKafka, type KafkaClient, type NewTopic } from './client.ts';
import type { KafkaEventStreamConfig } from './config.ts';
import { GroupSubscription } from './group-subscription.ts';
import { TopicLog, type TopicPlace } from './topic-log.ts';
import { publishedAt, readTail } from './topic-tail.ts';

/** Of a topic's `max.message.bytes`: the batches that are published, with what their envelopes take. */
const LARGEST_BATCH_BYTES = 1_048_588;
const NOTHING_BEHIND: StreamLag = { events: 0, oldestAgeMs: 0, fullness: 0 };

/** What the adapter needs besides its configuration. */
export interface KafkaEventStreamParts {
  /** Where publishers say what they published: one for all processes that use the streams. */
  readonly checkpoints: Pick<CheckpointStore, 'load' | 'save'>;
  readonly clock?: Clock;
  /** Told of failures in the background, which are tried again. Default: a process warning. */
  readonly onFailure?: (error: unknown) => void;
  /** Stands between the adapter and the client, for tests of faults. */
  readonly client?: (client: KafkaClient) => KafkaClient;
}

/**
 * An event stream on Kafka: a topic a stream, of which each partition is a source of its own; a consumer group of Kafka for each group of a
 * stream, whose declaration is its committed position.
 */
export class KafkaEventStream implements MeasuredStream, ReadableTail {
  readonly #config: KafkaEventStreamConfig;
  readonly #client: KafkaClient;
  readonly #checkpoints: KafkaEventStreamParts['checkpoints'];
  readonly #clock: Clock;
  readonly #onFailure: (error: unknown) => void;
  /** No other publisher has it, also not one with the same configuration at the same time. */
  readonly #source: string;
  readonly #publishers = new Map<StreamName, Promise<LogPublisher<TopicPlace>>>();
  readonly #accounts = new Map<StreamName, StreamAccounts>();
  readonly #subscriptions = new Set<Subscription>();
  readonly #publishing = new Set<Promise<unknown>>();
  readonly #closing = new AbortController();
  #lastEpoch = 0;
  #closed: Promise<void> | undefined;

  /**
   * Makes the topics that are missing, where the configuration says so; else connects at the first call.
   * @throws PortError failed_precondition where the SDK is not installed.
   */
  static async open(config: KafkaEventStreamConfig, parts: KafkaEventStreamParts): Promise<KafkaEventStream> {
    const client = await openKafka(config);
    try {
      for (const topic of newTopics(config)) await client.makeTopic(topic);
    } catch (error) {
      await client.close();
      throw error;
    }
    return new KafkaEventStream(config, parts.client?.(client) ?? client, parts);
  }

  private constructor(
    config: KafkaEventStreamConfig,
    client: KafkaClient,
    { checkpoints, clock = systemClock, onFailure = warn }: KafkaEventStreamParts,
  ) {
    this.#config = config;
    this.#client = client;
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
    const { topic, groupId } = this.#namesOf(stream, group, signal);
    await orStopWaiting(this.#declare(topic, groupId), signal);
  }

  async forgetGroup(stream: StreamName, group: string, { signal }: CallOptions = {}): Promise<void> {
    const { groupId } = this.#namesOf(stream, group, signal);
    await orStopWaiting(this.#client.deleteGroup(groupId), signal);
  }

  async subscribe(
    stream: StreamName,
    group: string,
    handler: BatchHandler,
    options: SubscribeOptions,
  ): Promise<Subscription> {
    const { topic, groupId } = this.#namesOf(stream, group, undefined);
    const limits = deliveryLimits(options, this.#config);
    await this.#positionsOf(stream, group);
    this.#throwIfClosed();
    const { sessionTimeoutMs, commitIntervalMs } = this.#config;
    const subscription = new GroupSubscription({
      ...{ client: this.#client, clock: this.#clock, onFailure: this.#onFailure },
      ...{ topic, groupId, handler, limits, resumeAfter: options.resumeAfter },
      ...{ sessionTimeoutMs, commitIntervalMs },
    });
    this.#subscriptions.add(subscription);
    return {
      close: async () => {
        await subscription.close();
        this.#subscriptions.delete(subscription);
      },
    };
  }

  async acceptedItems(stream: StreamName, options: AcceptedOptions = {}): Promise<ReadonlyMap<TenantId, number>> {
    const topic = this.#topicOf(stream, options.signal);
    return this.#accountsOf(stream, topic).acceptedItems(options);
  }

  async lag(stream: StreamName, group: string, { signal }: CallOptions = {}): Promise<StreamLag> {
    const topic = this.#topicOf(stream, signal);
    const [committed, begin, end] = await orStopWaiting(
      Promise.all([
        this.#positionsOf(stream, group),
        this.#client.offsets(topic, 'begin'),
        this.#client.offsets(topic, 'end'),
      ]),
      signal,
    );
    const behind = new Map<number, bigint>();
    let events = 0;
    for (const [partition, stop] of end) {
      const first = begin.get(partition)!;
      const position = committed.get(partition) ?? first;
      const from = position > first ? position : first;
      if (from >= stop) continue;
      behind.set(partition, from);
      events += Number(stop - from);
    }
    if (events === 0) return NOTHING_BEHIND;
    const published = await orStopWaiting(publishedAt(this.#client, topic, behind), signal);
    const oldestAgeMs = Math.max(0, this.#clock.nowMs() - Math.min(...published));
    return { events, oldestAgeMs, fullness: Math.max(1, oldestAgeMs) / this.#config.retentionMs };
  }

  async *readTail(
    stream: StreamName,
    limits: { readonly maxEvents: number; readonly sinceMs: number },
    { signal }: CallOptions = {},
  ): AsyncGenerator<readonly StampedEvent[]> {
    const topic = this.#topicOf(stream, signal);
    const signals = [this.#closing.signal, ...(signal ? [signal] : [])];
    try {
      yield* readTail(this.#client, topic, limits, AbortSignal.any(signals));
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
  #publisherOf(stream: StreamName, signal: AbortSignal | undefined): Promise<LogPublisher<TopicPlace>> {
    const topic = this.#topicOf(stream, signal);
    let publisher = this.#publishers.get(stream);
    if (!publisher) {
      const { maxPendingBytes } = this.#config;
      const nextEpoch = (): number => (this.#lastEpoch = Math.max(this.#clock.nowMs(), this.#lastEpoch + 1));
      const source = this.#source;
      const accounts = this.#accountsOf(stream, topic);
      publisher = TopicLog.open(this.#client, topic).then(
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

  #accountsOf(stream: StreamName, topic: string): StreamAccounts {
    let accounts = this.#accounts.get(stream);
    if (!accounts) {
      accounts = logAccounts({
        ...{ checkpoints: this.#checkpoints, name: `kafka/${topic}`, saveEveryMs: this.#config.accountEveryMs },
        ...{ clock: this.#clock, onFailure: this.#onFailure },
      });
      this.#accounts.set(stream, accounts);
    }
    return accounts;
  }

  /** A group that has a position anywhere was declared before: a partition that was added later is read from its beginning. */
  async #declare(topic: string, groupId: string): Promise<void> {
    await this.#client.partitionCount(topic);
    if ((await this.#client.committed(groupId, topic)).size > 0) return;
    await this.#client.commitIdle(groupId, topic, await this.#client.offsets(topic, 'end'));
  }

  async #positionsOf(stream: StreamName, group: string): Promise<ReadonlyMap<number, bigint>> {
    const { topic, groupId } = this.#namesOf(stream, group, undefined);
    await this.#client.partitionCount(topic);
    const committed = await this.#client.committed(groupId, topic);
    if (committed.size > 0) return committed;
    throw new PortError(
      'not_found',
      `the group ${group} of the stream ${stream} was never declared: call declareGroup first`,
    );
  }

  #namesOf(
    stream: StreamName,
    group: string,
    signal: AbortSignal | undefined,
  ): { readonly topic: string; readonly groupId: string } {
    checkGroupName(group);
    return { topic: this.#topicOf(stream, signal), groupId: `${this.#config.prefix}${stream}.${group}` };
  }

  #topicOf(stream: StreamName, signal: AbortSignal | undefined): string {
    throwIfAborted(signal);
    this.#throwIfClosed();
    if (!this.#config.streams.includes(stream))
      throw new PortError(
        'not_found',
        `there is no stream ${stream}; the configured ones are ${this.#config.streams.join(', ')}`,
      );
    return `${this.#config.prefix}${stream}`;
  }

  #throwIfClosed(): void {
    if (this.#closed) throw new PortError('failed_precondition', 'the event stream is closed');
  }
}

/** As the adapter wants them: of the largest events, kept as long as the lag is judged by, durable once all replicas but one have what is published. */
function newTopics({ topics, prefix, streams, retentionMs }: KafkaEventStreamConfig): readonly NewTopic[] {
  if (!topics) return [];
  const { partitions, replicas } = topics;
  const settings = {
    'cleanup.policy': 'delete',
    'retention.ms': String(retentionMs),
    'max.message.bytes': String(LARGEST_BATCH_BYTES),
    'message.timestamp.type': 'CreateTime',
    'min.insync.replicas': String(Math.max(1, replicas - 1)),
  };
  return streams.flatMap((stream) => {
    const count = partitions[stream];
    return count === undefined ? [] : [{ topic: `${prefix}${stream}`, partitions: count, replicas, settings }];
  });
}

function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? (error.stack ?? error.message) : String(error));
}
