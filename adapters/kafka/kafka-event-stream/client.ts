import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import type * as Sdk from '@platformatic/kafka';
import type { Refusal } from '#core/delivery/partitioned-log.ts';
import { isPortError, PortError } from '#core/errors.ts';
import { loadSdk } from '../../sdk.ts';
import { kafkaCall, namesOfKafkaError } from '../kafka-errors.ts';
import type { KafkaEventStreamConfig } from './config.ts';
import { RecordProducer } from './record-producer.ts';
import type { IncomingRecord, OutgoingRecord } from './record-codec.ts';
import { saslOf } from './sign-in.ts';

/** What of a partition is asked for, and came. */
export type Positions = ReadonlyMap<number, bigint>;

export interface FetchedPartition {
  readonly partition: number;
  readonly records: readonly IncomingRecord[];
  /** Where the next fetch of it begins. */
  readonly nextOffset: bigint;
}

/** Reads partitions without a group. One fetch a broker at a time. */
export interface PartitionReader {
  /** The partitions by the broker that leads them now. */
  byLeader(partitions: Iterable<number>): Promise<ReadonlyMap<number, readonly number[]>>;
  /**
   * What that broker has of its partitions from the positions on, to the end of a batch of records. Waits up to `maxWaitMs` for something to come.
   */
  fetch(leader: number, positions: Positions, options: { maxWaitMs: number }): Promise<readonly FetchedPartition[]>;
  close(): Promise<void>;
}

/** A member's part of a group, until the group changes. */
export interface Generation {
  readonly id: number;
  readonly memberId: string;
  readonly partitions: readonly number[];
}

export interface GroupMemberEvents {
  /** Awaited before the member answers a change of its group: until then its partitions go to nobody else, unless its session ends. */
  readonly beforeRejoin: () => Promise<void>;
  readonly assigned: (generation: Generation) => void;
  /** It will not come back by itself. */
  readonly lost: (error: unknown) => void;
}

export interface GroupMember {
  /** Rejects where the generation is over: somebody else may have the partitions. */
  commit(generation: Generation, positions: Positions): Promise<void>;
  /** Leaves the group, so that others need not wait for the session to end. */
  close(): Promise<void>;
}

/** A topic that may have to be made. */
export interface NewTopic {
  readonly topic: string;
  readonly partitions: number;
  /** Absent: as many as the brokers make by themselves. */
  readonly replicas?: number;
  /** By Kafka's names. */
  readonly settings: Readonly<Record<string, string>>;
}

/** The calls of Kafka that the stream makes. What they throw is a PortError. */
export interface KafkaClient {
  /** Makes it, where there is none, and waits until the brokers know it. Safe to be called by several at once. */
  makeTopic(topic: NewTopic): Promise<void>;
  /** With all that is in it; one that is not there is as good as deleted. */
  deleteTopic(topic: string): Promise<void>;
  /** Of all topics that this client may see. */
  topicNames(): Promise<readonly string[]>;
  /** @throws PortError not_found without such a topic. */
  partitionCount(topic: string): Promise<number>;
  /** The partition that every client of Kafka takes for the key by default. */
  partitionOf(key: Buffer, partitionCount: number): number;
  /**
   * Resolves once all in-sync replicas have the records, as one batch, once and in order of the calls for a partition; they have it whole or not
   * at all. Resolves to a refusal where it is certain that they do not and will not have it; rejects where nobody knows.
   */
  produce(topic: string, partition: number, records: readonly OutgoingRecord[]): Promise<Refusal | undefined>;
  /** The group's committed positions; empty for a group that is not known. */
  committed(groupId: string, topic: string): Promise<Positions>;
  /** Commits for a group without members. */
  commitIdle(groupId: string, topic: string, positions: Positions): Promise<void>;
  deleteGroup(groupId: string): Promise<void>;
  /** By partition: where the log begins or ends, or the first record published at a time or later (else the end). */
  offsets(topic: string, at: 'begin' | 'end' | { readonly sinceMs: number }): Promise<Positions>;
  openReader(topic: string): PartitionReader;
  /** Whether this client may publish to it; undefined where the brokers do not say. */
  mayPublish(topic: string): Promise<boolean | undefined>;
  /** The topic's configuration, by Kafka's names. */
  settingsOf(topic: string): Promise<ReadonlyMap<string, string>>;
  /** Of all groups that this client may see. */
  groupIds(): Promise<readonly string[]>;
  joinGroup(groupId: string, topic: string, events: GroupMemberEvents): Promise<GroupMember>;
  close(): Promise<void>;
}

const FETCH_BYTES = 8_388_608;
const PARTITION_FETCH_BYTES = 1_048_576;
const RETRIES = 4;
const PRODUCERS = 4;
const PRODUCE_RETRIES = 2;
const RETRY_DELAY_MS = 250;
const LONGEST_CONNECT_MS = 10_000;
const HEARTBEATS_A_SESSION = 10;
const LONGEST_HEARTBEAT_MS = 3_000;
const ALL_IN_SYNC = -1;

/** The SDK is loaded here and nowhere else, so that a site without Kafka never loads it. Connects at the first call. */
export async function openKafka(config: KafkaEventStreamConfig): Promise<KafkaClient> {
  const sdk = await loadSdk('Kafka', () => import('@platformatic/kafka'));
  const connectTimeoutMs = Math.min(config.timeoutMs, LONGEST_CONNECT_MS);
  return new PlatformaticClient(sdk, config, {
    clientId: `tribo-${config.source}`,
    bootstrapBrokers: [...config.brokers],
    autocreateTopics: false,
    retries: RETRIES,
    retryDelay: RETRY_DELAY_MS,
    timeout: config.timeoutMs,
    requestTimeout: config.timeoutMs,
    connectTimeout: connectTimeoutMs,
    ...tlsOf(config),
    ...(config.sasl && { sasl: await saslOf(config.sasl, connectTimeoutMs) }),
  });
}

class PlatformaticClient implements KafkaClient {
  readonly #sdk: typeof Sdk;
  readonly #config: KafkaEventStreamConfig;
  readonly #base: Sdk.BaseOptions;
  /** A partition's requests go by one of them. Each sends one thing at a time, over a connection to each broker, as a broker answers a connection one by one. */
  readonly #producers: readonly RecordProducer[];
  readonly #admin: Sdk.Admin;
  /** Of a group that never has members: for metadata and positions. */
  readonly #asker: Sdk.Consumer;

  constructor(sdk: typeof Sdk, config: KafkaEventStreamConfig, base: Sdk.BaseOptions) {
    this.#sdk = sdk;
    this.#config = config;
    this.#base = base;
    this.#producers = Array.from(
      { length: PRODUCERS },
      () =>
        new RecordProducer(
          new sdk.Producer({ ...base, retries: PRODUCE_RETRIES, idempotent: true, acks: ALL_IN_SYNC }),
        ),
    );
    this.#admin = new sdk.Admin(base);
    this.#asker = new sdk.Consumer({ ...base, groupId: `${config.prefix}asker` });
  }

  makeTopic({ topic, partitions, replicas, settings }: NewTopic): Promise<void> {
    return this.#call(`make ${topic}`, async () => {
      if (await this.#isThere(topic)) return;
      const configs = Object.entries(settings).map(([name, value]) => ({ name, value }));
      await this.#admin
        .createTopics({ topics: [topic], partitions, ...(replicas !== undefined && { replicas }), configs })
        .catch((error: unknown) => absent(error, 'TOPIC_ALREADY_EXISTS', undefined));
      await this.#known(topic);
    });
  }

  deleteTopic(topic: string): Promise<void> {
    return this.#call(`delete ${topic}`, () =>
      this.#admin
        .deleteTopics({ topics: [topic] })
        .catch((error: unknown) => absent(error, 'UNKNOWN_TOPIC_OR_PARTITION', undefined)),
    );
  }

  topicNames(): Promise<readonly string[]> {
    return this.#call('list topics', () => this.#admin.listTopics());
  }

  partitionCount(topic: string): Promise<number> {
    return this.#call(`metadata of ${topic}`, async () => {
      const { topics } = await this.#metadata(this.#asker, topic, true);
      return topics.get(topic)!.partitionsCount;
    });
  }

  partitionOf(key: Buffer, partitionCount: number): number {
    return (this.#sdk.murmur2(key) & 0x7fffffff) % partitionCount;
  }

  produce(topic: string, partition: number, records: readonly OutgoingRecord[]): Promise<Refusal | undefined> {
    // Bounded by the client's own timeout and retries, which repeat a request under its sequence number: giving up before them would let a later one overtake it.
    return this.#producers[partition % PRODUCERS]!.send(topic, partition, records);
  }

  committed(groupId: string, topic: string): Promise<Positions> {
    return this.#call(`positions of the group ${groupId}`, async () => {
      const groups = await this.#admin
        .listConsumerGroupOffsets({ groups: [groupId] })
        .catch((error: unknown) => absent(error, 'GROUP_ID_NOT_FOUND', []));
      const partitions = groups[0]?.topics.find(({ name }) => name === topic)?.partitions ?? [];
      return new Map(
        partitions
          .filter(({ committedOffset }) => committedOffset >= 0n)
          .map(({ partitionIndex, committedOffset }) => [partitionIndex, committedOffset]),
      );
    });
  }

  commitIdle(groupId: string, topic: string, positions: Positions): Promise<void> {
    const partitionOffsets = [...positions].map(([partition, offset]) => ({ partition, offset }));
    return this.#call(`declare the group ${groupId}`, () =>
      this.#admin.alterConsumerGroupOffsets({ groupId, topics: [{ name: topic, partitionOffsets }] }),
    );
  }

  deleteGroup(groupId: string): Promise<void> {
    return this.#call(`forget the group ${groupId}`, () =>
      this.#admin
        .deleteGroups({ groups: [groupId] })
        .catch((error: unknown) => absent(error, 'GROUP_ID_NOT_FOUND', undefined)),
    );
  }

  offsets(topic: string, at: 'begin' | 'end' | { readonly sinceMs: number }): Promise<Positions> {
    return this.#call(`positions of ${topic}`, async () => {
      const { ListOffsetTimestamps } = this.#sdk;
      const ends = at === 'begin' ? undefined : await this.#listOffsets(topic, ListOffsetTimestamps.LATEST);
      if (at === 'end') return ends!;
      const time = at === 'begin' ? ListOffsetTimestamps.EARLIEST : BigInt(at.sinceMs);
      const found = await this.#listOffsets(topic, time);
      return new Map(
        [...found].map(([partition, offset]) => [partition, offset < 0n ? ends!.get(partition)! : offset]),
      );
    });
  }

  mayPublish(topic: string): Promise<boolean | undefined> {
    return this.#call(`what may be done with ${topic}`, async () => {
      const connection = await answered<Sdk.Connection>((done) => this.#asker[this.#sdk.kGetBootstrapConnection](done));
      const ask = await answered<AskOperations>((done) => this.#asker[this.#sdk.kGetApi]('Metadata', done));
      const { topics } = await answered<OperationsAnswer>((done) => ask(connection, [topic], false, true, done));
      const allowed = topics[0]?.topicAuthorizedOperations ?? NOT_SAID;
      return allowed === NOT_SAID ? undefined : (allowed & (1 << WRITE)) !== 0;
    });
  }

  settingsOf(topic: string): Promise<ReadonlyMap<string, string>> {
    return this.#call(`configuration of ${topic}`, async () => {
      const resource = { resourceType: this.#sdk.ConfigResourceTypes.TOPIC, resourceName: topic };
      const [described] = await this.#admin.describeConfigs({ resources: [resource] });
      return new Map((described?.configs ?? []).map(({ name, value }) => [name, value ?? '']));
    });
  }

  groupIds(): Promise<readonly string[]> {
    return this.#call('list groups', async () => [...(await this.#admin.listGroups()).keys()]);
  }

  openReader(topic: string): PartitionReader {
    const consumer = new this.#sdk.Consumer({ ...this.#base, retries: 1, groupId: `${this.#config.prefix}reader` });
    consumer.topics.track(topic);
    const call = <Result>(make: () => Promise<Result>) => this.#call(`read ${topic}`, make);
    return {
      byLeader: (partitions) =>
        call(async () => {
          const { partitions: known } = (await this.#metadata(consumer, topic)).topics.get(topic)!;
          return Map.groupBy(partitions, (partition) => known[partition]!.leader);
        }),
      fetch: (leader, positions, { maxWaitMs }) =>
        call(async () => {
          const { id } = (await this.#metadata(consumer, topic)).topics.get(topic)!;
          const partitions = [...positions].map(([partition, fetchOffset]) => ({
            ...{ partition, fetchOffset, partitionMaxBytes: PARTITION_FETCH_BYTES },
            ...{ currentLeaderEpoch: -1, lastFetchedEpoch: -1 },
          }));
          const options = { node: leader, minBytes: 1, maxBytes: FETCH_BYTES, maxWaitTime: maxWaitMs };
          const { responses } = await consumer.fetch({ ...options, topics: [{ topicId: id, partitions }] });
          return responses.flatMap((response) =>
            response.partitions.map((each) => fetchedOf(each, positions.get(each.partitionIndex)!)),
          );
        }),
      close: () => consumer.close(true),
    };
  }

  async joinGroup(groupId: string, topic: string, events: GroupMemberEvents): Promise<GroupMember> {
    const { sessionTimeoutMs } = this.#config;
    const consumer = new this.#sdk.Consumer({
      ...this.#base,
      groupId,
      autocommit: false,
      sessionTimeout: sessionTimeoutMs,
      rebalanceTimeout: sessionTimeoutMs,
      heartbeatInterval: Math.min(LONGEST_HEARTBEAT_MS, Math.ceil(sessionTimeoutMs / HEARTBEATS_A_SESSION)),
      // The one hook that the client awaits between a change of the group and its answer to it.
      protocolsMetadata: async () => {
        await events.beforeRejoin();
        return Buffer.alloc(0);
      },
    });
    consumer.topics.track(topic);
    consumer.on('consumer:group:join', ({ generationId, memberId, assignments = [] }) => {
      const partitions = assignments.filter((each) => each.topic === topic).flatMap((each) => each.partitions);
      events.assigned({ id: generationId ?? 0, memberId, partitions });
    });
    (consumer as unknown as NodeJS.EventEmitter).on('error', events.lost);
    consumer.on('consumer:heartbeat:stalled', ({ lastError }) =>
      events.lost(lastError ?? new Error('no heartbeat came through in time')),
    );
    const close = (): Promise<void> => consumer.close(true);
    try {
      await consumer.joinGroup({});
    } catch (error) {
      await close().catch(() => undefined);
      throw error;
    }
    return {
      commit: (generation, positions) =>
        this.#call(`commit of the group ${groupId}`, () => this.#commit(consumer, topic, generation, positions)),
      close,
    };
  }

  async close(): Promise<void> {
    await Promise.allSettled([
      ...this.#producers.map((each) => each.close()),
      this.#admin.close(),
      this.#asker.close(true),
    ]);
  }

  /** The client's own commit would join the group again and repeat itself, where a generation that is over must not commit. */
  async #commit(consumer: Sdk.Consumer, topic: string, generation: Generation, positions: Positions): Promise<void> {
    const coordinatorId = await consumer.findGroupCoordinator();
    const broker = (await this.#metadata(consumer, topic)).brokers.get(coordinatorId);
    if (!broker)
      throw new PortError('unavailable', `the group's coordinator ${coordinatorId} is not among the brokers`);
    const connection = await answered<Sdk.Connection>((done) => consumer[this.#sdk.kGetConnection](broker, done));
    const offsetCommit = await answered<OffsetCommit>((done) => consumer[this.#sdk.kGetApi]('OffsetCommit', done));
    const partitions = [...positions].map(([partitionIndex, committedOffset]) => ({
      ...{ partitionIndex, committedOffset, committedLeaderEpoch: -1, committedMetadata: null },
    }));
    const { id, memberId } = generation;
    await answered<unknown>((done) =>
      offsetCommit(connection, consumer.groupId, id, memberId, null, [{ name: topic, partitions }], done),
    );
  }

  async #metadata(client: Sdk.Base, topic: string, forceUpdate = false): Promise<Sdk.ClusterMetadata> {
    try {
      return await answered<Sdk.ClusterMetadata>((done) =>
        client[this.#sdk.kMetadata]({ topics: [topic], forceUpdate }, done),
      );
    } catch (error) {
      // The client hides the protocol's error behind this one.
      if (!/^Unknown topic /.test((error as Error).message)) throw error;
      throw new PortError(
        'not_found',
        `there is no topic ${topic}: make it with the site, or have it made by the setting topics`,
        {
          cause: error,
        },
      );
    }
  }

  async #listOffsets(topic: string, timestamp: bigint): Promise<Positions> {
    const offsets = await this.#asker.listOffsets({ topics: [topic], timestamp });
    return new Map((offsets.get(topic) ?? []).map((offset, partition) => [partition, offset]));
  }

  async #isThere(topic: string): Promise<boolean> {
    try {
      await this.#metadata(this.#asker, topic, true);
      return true;
    } catch (error) {
      if (isPortError(error) && error.code === 'not_found') return false;
      throw error;
    }
  }

  /** One that was made just now is not known to every broker at once. */
  async #known(topic: string): Promise<void> {
    const endMs = performance.now() + this.#config.timeoutMs;
    while (!(await this.#isThere(topic))) {
      if (performance.now() > endMs) throw new PortError('deadline_exceeded', `the brokers do not know ${topic} yet`);
      await setTimeout(RETRY_DELAY_MS);
    }
  }

  #call<Result>(what: string, call: () => Promise<Result>): Promise<Result> {
    return kafkaCall(what, this.#config.timeoutMs, call);
  }
}

type FetchResponsePartition = Awaited<ReturnType<Sdk.Consumer['fetch']>>['responses'][number]['partitions'][number];
type OffsetCommit = (
  connection: Sdk.Connection,
  groupId: string,
  generation: number,
  memberId: string,
  instanceId: null,
  topics: readonly object[],
  done: Done<unknown>,
) => void;
/** Metadata, with what this client may do: https://kafka.apache.org/protocol.html#The_Messages_Metadata */
type AskOperations = (
  connection: Sdk.Connection,
  topics: readonly string[],
  autoCreates: boolean,
  withOperations: boolean,
  done: Done<OperationsAnswer>,
) => void;
interface OperationsAnswer {
  readonly topics: readonly { readonly topicAuthorizedOperations?: number }[];
}
/** Of the protocol, where it is not asked or not known. */
const NOT_SAID = -(2 ** 31);
/** The bit of AclOperation. */
const WRITE = 4;

type Done<Result> = (error: Error | null | undefined, result?: Result) => void;

function answered<Result>(call: (done: Done<Result>) => void): Promise<Result> {
  return new Promise((resolve, reject) =>
    call((error, result) => {
      if (error) reject(error);
      else resolve(result as Result);
    }),
  );
}

function absent<Value>(error: unknown, name: string, value: Value): Value {
  if (namesOfKafkaError(error).includes(name)) return value;
  throw error;
}

function fetchedOf({ partitionIndex, records: batches }: FetchResponsePartition, from: bigint): FetchedPartition {
  const records: IncomingRecord[] = [];
  const firstWanted = Number(from);
  let nextOffset = from;
  for (const { firstOffset, firstTimestamp, lastOffsetDelta, records: ofBatch } of batches ?? []) {
    nextOffset = firstOffset + BigInt(lastOffsetDelta) + 1n;
    const [base, baseMs] = [Number(firstOffset), Number(firstTimestamp)];
    for (const { offsetDelta, timestampDelta, key, value } of ofBatch) {
      const offset = base + offsetDelta;
      if (offset < firstWanted) continue;
      records.push({ offset, timestampMs: baseMs + Number(timestampDelta), key, value });
    }
  }
  return { partition: partitionIndex, records, nextOffset };
}

function tlsOf({ tls, brokers }: KafkaEventStreamConfig): Pick<Sdk.BaseOptions, 'tls' | 'tlsServerName'> {
  if (tls === false || tls === 'off-in-private-network') return {};
  const { caFile, certificateFile, keyFile } = tls === true ? {} : tls;
  return {
    tls: {
      ...(caFile !== undefined && { ca: readFileSync(caFile) }),
      ...(certificateFile !== undefined && { cert: readFileSync(certificateFile) }),
      ...(keyFile !== undefined && { key: readFileSync(keyFile) }),
    },
    // An address is no name that a server could be asked for (RFC 6066).
    tlsServerName: brokers.every((broker) => isIP(broker.slice(0, broker.lastIndexOf(':'))) === 0),
  };
}
