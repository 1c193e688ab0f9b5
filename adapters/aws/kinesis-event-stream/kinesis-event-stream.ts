import { systemClock, type Clock } from '#core/clock.ts';
import { StreamAccounts } from '#core/delivery/accounts/stream-accounts.ts';
import { orStopWaiting } from '#core/stop-waiting.ts';
import { deliveryLimits } from '#core/delivery/delivery-window.ts';
import { checkGroupName } from '#core/delivery/group-name.ts';
import type { MachineEvent, StreamName } from '#core/domain/event.ts';
import type { TenantId } from '#core/domain/ids.ts';
import { PortError, throwIfAborted, type CallOptions } from '#core/errors.ts';
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
import { DynamodbCheckpointStore } from '../dynamodb-checkpoint-store/dynamodb-checkpoint-store.ts';
import { awsCall } from '../aws-errors.ts';
import { openDynamoTable, type DynamoTable } from '../dynamo-table.ts';
import { openKinesis, type KinesisCalls, type PutResult, type Shard } from './client.ts';
import type { KinesisEventStreamConfig } from './config.ts';
import { subscribeToShards } from './group-subscription.ts';
import { KINESIS_CODES } from './kinesis-codes.ts';
import { LeaseTable } from './lease-table.ts';
import { encodeMarker } from './record-codec.ts';
import { sourceOf, StreamPublisher } from './stream-publisher.ts';

const RECORDS_A_REQUEST = 500;
/** A declaration that meets a split or merge begins again, at most so often. */
const DECLARATIONS = 5;

export interface KinesisEventStreamParts {
  readonly kinesis: KinesisCalls;
  readonly table: DynamoTable;
  readonly clock?: Clock;
  /** Told of failures in the background, which are tried again. Default: a process warning. */
  readonly onFailure?: (error: unknown) => void;
}

/** What is used of one stream. */
interface OpenStream {
  /** Of Kinesis. */
  readonly name: string;
  readonly leases: LeaseTable;
  readonly publisher: StreamPublisher;
  readonly accounts: StreamAccounts;
}

/**
 * Streams of Kinesis. A record has the events of one lane that were published together; a lane is always in one shard, so that its numbers come in
 * order however the stream is divided. What groups have settled is in DynamoDB, shard by shard, and what publishers and groups say of themselves,
 * which measures the stream.
 */
export class KinesisEventStream implements MeasuredStream {
  readonly #config: KinesisEventStreamConfig;
  readonly #kinesis: KinesisCalls;
  readonly #table: DynamoTable;
  readonly #checkpoints: CheckpointStore;
  readonly #clock: Clock;
  readonly #onFailure: (error: unknown) => void;
  readonly #streams = new Map<StreamName, OpenStream>();
  readonly #subscriptions = new Set<Subscription>();
  #closed: Promise<void> | undefined;

  constructor(
    config: KinesisEventStreamConfig,
    { kinesis, table, clock = systemClock, onFailure = warn }: KinesisEventStreamParts,
  ) {
    this.#config = config;
    this.#kinesis = kinesis;
    this.#table = table;
    const { region, endpoint, stateTable, stateEndpoint = endpoint, timeoutMs } = config;
    this.#checkpoints = new DynamodbCheckpointStore(
      { region, endpoint: stateEndpoint, table: stateTable, timeoutMs },
      table,
    );
    this.#clock = clock;
    this.#onFailure = onFailure;
  }

  static async open(config: KinesisEventStreamConfig): Promise<KinesisEventStream> {
    const { region, endpoint, stateTable, stateEndpoint = endpoint } = config;
    const table = await openDynamoTable({ region, endpoint: stateEndpoint, table: stateTable });
    return new KinesisEventStream(config, { kinesis: await openKinesis(config), table });
  }

  async publish(
    stream: StreamName,
    events: readonly MachineEvent[],
    { signal }: CallOptions = {},
  ): Promise<PublishResult> {
    const { publisher } = this.#open(stream, signal);
    if (events.length === 0) return { failed: [] };
    return orStopWaiting(publisher.publish(events), signal);
  }

  async declareGroup(stream: StreamName, group: string, { signal }: CallOptions = {}): Promise<void> {
    const { name, leases, accounts } = this.#open(stream, signal);
    checkGroupName(group);
    if (!(await leases.isDeclared(group, signal))) {
      const starts = await this.#markShards(name, signal);
      for (const { id, sequenceNumber } of starts)
        await leases.create(group, { shard: id, position: { sequenceNumber }, parents: [] }, signal);
      await leases.declare(group, signal);
    }
    await accounts.declare(group, signal && { signal });
  }

  async forgetGroup(stream: StreamName, group: string, { signal }: CallOptions = {}): Promise<void> {
    const { leases, accounts } = this.#open(stream, signal);
    checkGroupName(group);
    await leases.forget(group, signal);
    await accounts.forget(group, signal && { signal });
  }

  async subscribe(
    stream: StreamName,
    group: string,
    handler: BatchHandler,
    options: SubscribeOptions,
  ): Promise<Subscription> {
    const { name, leases, accounts } = this.#open(stream);
    checkGroupName(group);
    const limits = deliveryLimits(options, this.#config);
    if (!(await leases.isDeclared(group)))
      throw new PortError('not_found', `the group ${group} of stream ${stream} is not declared`);
    this.#checkOpen();
    const { pollMs, leaseMs, checkpointIntervalMs } = this.#config;
    const subscription = subscribeToShards({
      handler: accounts.counting(group, options.resumeAfter, handler),
      ...{ group, leases, limits, resumeAfter: options.resumeAfter },
      ...{ clock: this.#clock, pollMs, leaseMs, checkpointIntervalMs },
      shards: () => this.#shards(name, undefined),
      iterator: (shard, start, signal) =>
        this.#call(`find the place in ${shard} of ${name}`, signal, (stopped) =>
          this.#kinesis.iterator(name, shard, start, stopped),
        ),
      read: (iterator, signal) =>
        this.#call(`read ${name}`, signal, (stopped) => this.#kinesis.read(iterator, stopped)),
      onFailure: this.#onFailure,
    });
    this.#subscriptions.add(subscription);
    return {
      close: async () => {
        await subscription.close();
        this.#subscriptions.delete(subscription);
      },
    };
  }

  async acceptedItems(
    stream: StreamName,
    { signal, ...options }: AcceptedOptions = {},
  ): Promise<ReadonlyMap<TenantId, number>> {
    const { accounts } = this.#open(stream, signal);
    return accounts.acceptedItems({ ...options, ...(signal && { signal }) });
  }

  async lag(stream: StreamName, group: string, { signal }: CallOptions = {}): Promise<StreamLag> {
    return this.#open(stream, signal).accounts.lag(group, signal && { signal });
  }

  close(): Promise<void> {
    this.#closed ??= this.#closeAll();
    return this.#closed;
  }

  async #closeAll(): Promise<void> {
    const subscriptions = [...this.#subscriptions].map((each) => each.close());
    const publishers = [...this.#streams.values()].map(({ publisher }) => publisher.close().catch(this.#onFailure));
    await Promise.all([...subscriptions, ...publishers]);
    await Promise.all([...this.#streams.values()].map(({ accounts }) => accounts.close()));
    this.#kinesis.close();
    this.#table.close();
  }

  /**
   * A record without events at the end of every open shard: what comes after it is the group's. No clock is asked, and nothing that is
   * published from now on is missed. A shard that closed meanwhile has its end in another.
   */
  async #markShards(name: string, signal: AbortSignal | undefined): Promise<readonly ShardMark[]> {
    for (let attempt = 0; attempt < DECLARATIONS; attempt++) {
      const open = (await this.#shards(name, signal)).filter(({ isOpen }) => isOpen);
      const results: PutResult[] = [];
      for (let from = 0; from < open.length; from += RECORDS_A_REQUEST)
        results.push(...(await this.#mark(name, open.slice(from, from + RECORDS_A_REQUEST), signal)));
      const marks = open.flatMap(({ id }, index) => {
        const { shardId, sequenceNumber } = results[index] ?? {};
        return shardId === id && sequenceNumber !== undefined ? [{ id, sequenceNumber }] : [];
      });
      if (marks.length === open.length) return marks;
    }
    throw new PortError('unavailable', `the shards of ${name} are being divided, or are throttled: try again`);
  }

  #mark(name: string, shards: readonly Shard[], signal: AbortSignal | undefined): Promise<readonly PutResult[]> {
    const data = encodeMarker();
    const records = shards.map(({ firstHashKey: hashKey }) => ({ data, partitionKey: 'marker', hashKey }));
    return this.#call(`mark the shards of ${name}`, signal, (stopped) => this.#kinesis.put(name, records, stopped));
  }

  #shards(name: string, signal: AbortSignal | undefined): Promise<readonly Shard[]> {
    return this.#call(`list the shards of ${name}`, signal, (stopped) => this.#kinesis.shards(name, stopped));
  }

  #call<Result>(
    what: string,
    signal: AbortSignal | undefined,
    call: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    return awsCall({ what, timeoutMs: this.#config.timeoutMs, signal, codes: KINESIS_CODES }, call);
  }

  #open(stream: StreamName, signal?: AbortSignal): OpenStream {
    throwIfAborted(signal);
    this.#checkOpen();
    let open = this.#streams.get(stream);
    if (!open) this.#streams.set(stream, (open = this.#openStream(stream)));
    return open;
  }

  #openStream(stream: StreamName): OpenStream {
    const { streams, source, lanes, maxRequestBytes, maxPendingBytes, timeoutMs, retentionMs, accountEveryMs } =
      this.#config;
    const name = streams[stream];
    if (name === undefined) {
      const names = Object.keys(streams).join(', ');
      throw new PortError('not_found', `there is no stream ${stream}; the configured ones are ${names}`);
    }
    const accounts = new StreamAccounts({
      ...{ checkpoints: this.#checkpoints, name, retentionMs, saveEveryMs: accountEveryMs },
      ...{ clock: this.#clock, onFailure: this.#onFailure },
    });
    const leases = new LeaseTable(this.#table, name, timeoutMs, (group) => accounts.flush(group));
    const sources = Array.from({ length: lanes }, (_, lane) => sourceOf(source, lane));
    const publisher = new StreamPublisher({
      ...{ source, lanes, maxRequestBytes, maxPendingBytes },
      put: (records) =>
        this.#call(`publish to ${name}`, undefined, (stopped) => this.#kinesis.put(name, records, stopped)),
      openEpoch: async () => {
        await accounts.open(sources);
        return leases.openEpoch(source);
      },
      published: (epoch) => accounts.published(epoch),
    });
    return { name, leases, publisher, accounts };
  }

  #checkOpen(): void {
    if (this.#closed) throw new PortError('failed_precondition', 'the event stream is closed');
  }
}

interface ShardMark {
  readonly id: string;
  readonly sequenceNumber: string;
}

function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? (error.stack ?? error.message) : String(error));
}
