import { systemClock, type Clock } from '#core/clock.ts';
import { StreamAccounts } from '#core/delivery/accounts/stream-accounts.ts';
import { deliveryLimits } from '#core/delivery/delivery-window.ts';
import { checkGroupName } from '#core/delivery/group-name.ts';
import { MAX_EVENT_BYTES, type MachineEvent, type StreamName } from '#core/domain/event.ts';
import type { TenantId } from '#core/domain/ids.ts';
import { isPortError, PortError, throwIfAborted, type CallOptions } from '#core/errors.ts';
import type { CheckpointStore } from '#core/ports/checkpoint-store.ts';
import type {
  AcceptedOptions,
  BatchHandler,
  MeasuredStream,
  PublishResult,
  StreamLag,
  SubscribeOptions,
  Subscription,
} from '#core/ports/event-stream.ts';
import { cloudCall } from '../../cloud-call.ts';
import { codeOfGcpError } from '../gcp-errors.ts';
import { waitFor } from '../../wait-for.ts';
import { openPubsub, type PubsubCalls } from './client.ts';
import type { PubsubEventStreamConfig } from './config.ts';
import { GroupSubscription } from './group-subscription.ts';
import { SavedAcks } from './saved-acks.ts';
import { sourceOf, TopicPublisher } from './topic-publisher.ts';

/** What the adapter needs besides its configuration. */
export interface PubsubEventStreamParts {
  /** Where publishers and groups say what they published and settled: one for all processes that use the streams. */
  readonly checkpoints: Pick<CheckpointStore, 'load' | 'save'>;
  readonly clock?: Clock;
  /** Told of failures in the background; they are tried again. Default: a process warning. */
  readonly onFailure?: (error: unknown) => void;
}

/** Streams as topics of Pub/Sub, each group a subscription with ordering keys; measured by what publishers and groups say of themselves. */
export class PubsubEventStream implements MeasuredStream {
  readonly #config: PubsubEventStreamConfig;
  readonly #calls: PubsubCalls;
  readonly #checkpoints: PubsubEventStreamParts['checkpoints'];
  readonly #clock: Clock;
  readonly #onFailure: (error: unknown) => void;
  readonly #publishers = new Map<StreamName, Promise<TopicPublisher>>();
  readonly #accounts = new Map<StreamName, StreamAccounts>();
  readonly #subscriptions = new Set<Subscription>();
  readonly #publishing = new Set<Promise<unknown>>();
  #closed: Promise<void> | undefined;

  static async open(config: PubsubEventStreamConfig, parts: PubsubEventStreamParts): Promise<PubsubEventStream> {
    return new PubsubEventStream(config, await openPubsub(config), parts);
  }

  constructor(
    config: PubsubEventStreamConfig,
    calls: PubsubCalls,
    { checkpoints, clock = systemClock, onFailure = warn }: PubsubEventStreamParts,
  ) {
    this.#config = config;
    this.#calls = calls;
    this.#checkpoints = checkpoints;
    this.#clock = clock;
    this.#onFailure = onFailure;
  }

  async publish(
    stream: StreamName,
    events: readonly MachineEvent[],
    { signal }: CallOptions = {},
  ): Promise<PublishResult> {
    this.#check(signal);
    const tooLarge = events.findIndex(({ payload }) => payload.byteLength > MAX_EVENT_BYTES);
    if (tooLarge >= 0)
      throw new PortError(
        'invalid_argument',
        `event ${tooLarge} has ${events[tooLarge]!.payload.byteLength} bytes of payload, at most ${MAX_EVENT_BYTES} are allowed`,
      );
    if (events.length === 0) return { failed: [] };
    const publishing = this.#publisher(stream).then((publisher) => publisher.publish(events));
    const settled = publishing.catch(() => undefined).finally(() => this.#publishing.delete(settled));
    this.#publishing.add(settled);
    try {
      return await (signal ? waitFor(publishing, signal) : publishing);
    } catch (error) {
      if (!isPortError(error)) throwIfAborted(signal);
      throw error;
    }
  }

  async declareGroup(stream: StreamName, group: string, options: CallOptions = {}): Promise<void> {
    const name = this.#subscriptionName(stream, group);
    try {
      await this.#call(`declare group ${group} of ${stream}`, options, (signal) =>
        this.#calls.createSubscription(this.#topic(stream), name, signal),
      );
    } catch (error) {
      if (!isPortError(error) || error.code !== 'already_exists') throw error;
    }
    await this.#accountsOf(stream).declare(group, options);
  }

  async forgetGroup(stream: StreamName, group: string, options: CallOptions = {}): Promise<void> {
    const name = this.#subscriptionName(stream, group);
    try {
      await this.#call(`forget group ${group} of ${stream}`, options, (signal) =>
        this.#calls.deleteSubscription(name, signal),
      );
    } catch (error) {
      if (!isPortError(error) || error.code !== 'not_found') throw error;
    }
    await this.#accountsOf(stream).forget(group, options);
  }

  async subscribe(
    stream: StreamName,
    group: string,
    handler: BatchHandler,
    options: SubscribeOptions,
  ): Promise<Subscription> {
    const name = this.#subscriptionName(stream, group);
    const limits = deliveryLimits(options, this.#config);
    const what = `subscribe to ${stream} as ${group}`;
    if (!(await this.#call(what, {}, (signal) => this.#calls.hasSubscription(name, signal))))
      throw new PortError('not_found', `${what}: there is no subscription ${name}; declare the group first`);
    const { resumeAfter } = options;
    const accounts = this.#accountsOf(stream);
    const onFailure = this.#onFailure;
    const acks = new SavedAcks({ save: () => accounts.flush(group), everyMs: this.#config.ackEveryMs, onFailure });
    const subscription = new GroupSubscription({
      pull: (onMessage, onPullFailure) =>
        acks.closing(this.#calls.pull(name, (message) => onMessage(acks.hold(message)), onPullFailure)),
      handler: accounts.counting(group, resumeAfter, handler),
      ...{ clock: this.#clock, limits, resumeAfter, onFailure },
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
    this.#check(options.signal);
    return this.#accountsOf(stream).acceptedItems(options);
  }

  async lag(stream: StreamName, group: string, options: CallOptions = {}): Promise<StreamLag> {
    this.#check(options.signal);
    return this.#accountsOf(stream).lag(group, options);
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#subscriptions].map((each) => each.close()));
    await Promise.all(this.#publishing);
    for (const accounts of this.#accounts.values()) await accounts.close();
    await this.#calls.close();
  }

  #publisher(stream: StreamName): Promise<TopicPublisher> {
    const opened = this.#publishers.get(stream);
    if (opened) return opened;
    const opening = this.#openPublisher(stream);
    this.#publishers.set(stream, opening);
    opening.catch(() => this.#publishers.delete(stream));
    return opening;
  }

  async #openPublisher(stream: StreamName): Promise<TopicPublisher> {
    const { source, lanes, gatherMs } = this.#config;
    const topic = this.#topic(stream);
    const accounts = this.#accountsOf(stream);
    const lastEpoch = await accounts.open(Array.from({ length: lanes }, (_, lane) => sourceOf(source, lane)));
    const call = { what: `publish to ${topic}`, timeoutMs: this.#config.timeoutMs };
    return new TopicPublisher({
      ...{ source, lanes, gatherMs, clock: this.#clock, firstEpoch: Math.max(this.#clock.nowMs(), lastEpoch + 1) },
      published: (epoch) => accounts.published(epoch),
      send: (orderingKey, messages) =>
        cloudCall(call, codeOfGcpError, (signal) => this.#calls.publish(topic, orderingKey, messages, signal)),
    });
  }

  #accountsOf(stream: StreamName): StreamAccounts {
    let accounts = this.#accounts.get(stream);
    if (!accounts) {
      const { retentionMs, accountEveryMs, projectId } = this.#config;
      accounts = new StreamAccounts({
        ...{ checkpoints: this.#checkpoints, name: `${projectId}/${this.#topic(stream)}` },
        ...{ retentionMs, saveEveryMs: accountEveryMs, clock: this.#clock, onFailure: this.#onFailure },
      });
      this.#accounts.set(stream, accounts);
    }
    return accounts;
  }

  async #call<Result>(
    what: string,
    { signal }: CallOptions,
    call: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    this.#check(signal);
    return cloudCall({ what, signal, timeoutMs: this.#config.timeoutMs }, codeOfGcpError, call);
  }

  #check(signal: AbortSignal | undefined): void {
    throwIfAborted(signal);
    if (this.#closed) throw new PortError('failed_precondition', 'the event stream is closed');
  }

  #topic(stream: StreamName): string {
    return this.#config.topicPrefix + stream;
  }

  #subscriptionName(stream: StreamName, group: string): string {
    checkGroupName(group);
    return `${this.#topic(stream)}.${group}`;
  }
}

function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? (error.stack ?? error.message) : String(error));
}
