import { once } from 'node:events';
import type { AddressInfo, Server, Socket } from 'node:net';
import type * as Rhea from 'rhea';
import type { Connection, Delivery, EventContext, Message, Receiver, Sender } from 'rhea';
import { amqpContainer } from './amqp-container.ts';

const HOST = '127.0.0.1';
/** Of Standard, Premium and Dedicated, with the envelope. */
const MAX_MESSAGE_BYTES = 1_048_576;
/** The format of a message whose data sections are messages. */
const BATCH_FORMAT = 0x80013700;
const DATA_SECTION = 0x75;
const CREDIT = 1000;
const THROTTLED = 'com.microsoft:server-busy';

/** What becomes of a batch that was sent, other than that it is durable and acknowledged. */
export type SendFault =
  /** Refused whole, nothing of it is stored. */
  | { readonly refuse: typeof THROTTLED | 'amqp:internal-error' }
  /** Nothing of it is stored, and the link is gone. */
  | 'detached'
  /** It is stored, and the link is gone before the answer, as the service is busy. */
  | 'stored and detached'
  /** It is stored, and the connection is gone before the answer. */
  | 'answer lost';

/** What another service puts into a hub. */
interface RoutedEvent {
  readonly body: Buffer;
  readonly properties: object;
  readonly annotations: object;
}

export interface EventHubSettings {
  readonly partitions: number;
  /** Besides `$Default`. */
  readonly consumerGroups?: readonly string[];
}

/**
 * A peer of Azure Event Hubs: a small AMQP 1.0 server of ours on `rhea`, as there is no emulator that runs without containers.
 *
 * **It is** what the vendor's SDK (@azure/event-hubs) meets over AMQP: claims by `$cbs`, `$management` of hubs and partitions, senders to a hub's
 * partition or by partition key, batches whole or not at all and at most 1 MiB, receivers by consumer group, partition and starting position with
 * owner levels, dense sequence numbers, opaque offsets, and the errors of a missing hub or consumer group, of a receiver with another owner level,
 * of throttling and of a link that is detached. Its logs outlive connections and {@link stop}, not the process.
 *
 * **It is not** Event Hubs: one process without replicas; no TLS, any token passes unless {@link refusesTokens}; no throughput units, quotas or
 * latency of its own; nothing expires but by {@link forget}; no idempotent producer, schema registry, capture or geo-replication; the
 * hash of partition keys is not the service's. That what it does is what the service does is taken from the vendor's documents and from what
 * the SDK expects of the service, not from a comparison with it:
 * https://learn.microsoft.com/azure/event-hubs/event-hubs-amqp-protocol and /azure/service-bus-messaging/service-bus-amqp-protocol-guide.
 */
export class EventHubs implements AsyncDisposable {
  readonly #rhea: typeof Rhea.default;
  readonly #hubs = new Map<string, Hub>();
  readonly #connections = new Set<Connection>();
  /** Of all who have come, also those who have not said what they want. */
  readonly #sockets = new Set<Socket>();
  #connectionsEver = 0;
  #server: Server | undefined;
  #port = 0;
  /** Asked for each batch that comes. */
  sendFault: ((hub: string, partition: number) => SendFault | undefined) | undefined;
  refusesTokens = false;

  static async start(): Promise<EventHubs> {
    const peer = new EventHubs((await import('rhea')).default);
    await peer.listen();
    return peer;
  }

  private constructor(rhea: typeof Rhea.default) {
    this.#rhea = rhea;
  }

  get connectionString(): string {
    return `Endpoint=sb://${HOST}:${this.#port};SharedAccessKeyName=peer;SharedAccessKey=cGVlcg==;UseDevelopmentEmulator=true;`;
  }

  createHub(name: string, { partitions, consumerGroups = [] }: EventHubSettings): void {
    this.#hubs.set(name, new Hub(name, partitions, ['$Default', ...consumerGroups]));
  }

  deleteHub(name: string): void {
    for (const { readers } of this.#hubs.get(name)?.partitions ?? []) for (const reader of readers) reader.detach();
    this.#hubs.delete(name);
  }

  /** Stores an event of another service of the cloud in the partition of its key. */
  append(hub: string, key: string, { body, properties, annotations }: RoutedEvent): void {
    const at = this.#hubs.get(hub)!;
    at.partitions[at.partitionOf(key)]!.append([
      {
        body: this.#rhea.message.data_section(body) as unknown,
        application_properties: properties,
        message_annotations: annotations,
      },
    ]);
  }

  /** How many connections there have ever been. */
  get connectionsEver(): number {
    return this.#connectionsEver;
  }

  /** How many events the partition has ever had. */
  eventsOf(hub: string, partition: number): number {
    return this.#hubs.get(hub)!.partitions[partition]!.nextSequenceNumber;
  }

  /** Lets the partition's oldest events go, as they do when their time is over: those before the sequence number. */
  forget(hub: string, partition: number, beforeSequenceNumber: number): void {
    this.#hubs.get(hub)!.partitions[partition]!.forget(beforeSequenceNumber);
  }

  /** Detaches every receiver of the hub, as the service does when it moves a partition. */
  detachReceivers(hub: string): void {
    for (const { readers } of this.#hubs.get(hub)!.partitions)
      for (const reader of [...readers]) reader.detach(amqpError('amqp:link:detach-forced', 'the link is moved'));
  }

  /** On the port that it had before, if any; where it listens already it goes on. */
  async listen(): Promise<void> {
    if (this.#server) return;
    const container = amqpContainer(this.#rhea, 'event-hubs-peer', {
      opened: (connection) => {
        this.#connectionsEver++;
        this.#connections.add(connection);
      },
      gone: (connection) => this.#forgetConnection(connection),
      openIncoming: (link) => this.#openIncoming(link),
      openOutgoing: (link) => this.#openOutgoing(link),
      receive: (context) => this.#receive(context),
    });
    this.#server = container.listen({
      ...{ host: HOST, port: this.#port },
      receiver_options: { autoaccept: false, credit_window: CREDIT, max_message_size: MAX_MESSAGE_BYTES },
    });
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Cuts all connections and takes no more, until it listens again. What was stored stays. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = undefined;
    const closed = once(server, 'close');
    server.close();
    for (const connection of [...this.#connections]) this.#cut(connection);
    // Those on which nobody has spoken AMQP yet.
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** With an error, so that rhea sees it, too, and stops its heartbeats. */
  #cut(connection: Connection): void {
    const { socket } = connection as unknown as { readonly socket: Socket };
    socket.destroy(new Error('cut'));
    this.#forgetConnection(connection);
  }

  #forgetConnection(connection: Connection): void {
    this.#connections.delete(connection);
    for (const { partitions } of this.#hubs.values())
      for (const { readers } of partitions)
        for (const reader of [...readers]) if (reader.link.connection === connection) readers.delete(reader);
  }

  /** A link by which the client sends. */
  #openIncoming(link: Receiver): void {
    const { target, source } = attachOf(link);
    link.set_source(source);
    link.set_target(target);
    const { hub, partition, service } = this.#placeOf(target.address);
    if (service === undefined && !hub) link.close(notFound(target.address));
    else if (partition !== undefined && !hub?.partitions[partition])
      link.close(amqpError('com.microsoft:argument-out-of-range', `there is no partition ${partition}`));
  }

  /** A link by which the client receives: events, or answers of a service. */
  #openOutgoing(link: Sender): void {
    const { source, target } = attachOf(link);
    link.set_source(source);
    link.set_target(target);
    const { hub, partition = -1, group = '', service } = this.#placeOf(source.address);
    if (service !== undefined) return;
    const log = hub?.partitions[partition];
    if (!log || !hub.consumerGroups.has(group.toLowerCase())) {
      link.close(notFound(source.address));
      return;
    }
    const reader = new Reader(this.#rhea, link, log, group.toLowerCase());
    const stronger = [...log.readers].find((other) => reader.yieldsTo(other));
    if (stronger) {
      link.close(amqpError('amqp:link:stolen', `a receiver with the higher epoch '${stronger.ownerLevel}' exists`));
      return;
    }
    for (const other of [...log.readers].filter((each) => each.yieldsTo(reader) || reader.takesFrom(each))) {
      log.readers.delete(other);
      other.detach(amqpError('amqp:link:stolen', `a receiver with epoch '${reader.ownerLevel}' was created`));
    }
    log.readers.add(reader);
    link.on('sendable', () => reader.pump());
    link.on('sender_close', () => {
      log.readers.delete(reader);
      reader.sendNoMore();
    });
    reader.pump();
  }

  #receive({ receiver, message: given, delivery }: EventContext): void {
    const { address } = attachOf(receiver!).target;
    const bytes = Buffer.isBuffer(given) ? given : undefined;
    const message = bytes ? this.#decode(bytes) : given!;
    const { hub, partition, service } = this.#placeOf(address);
    if (service !== undefined) {
      delivery!.accept();
      this.#answer(receiver!, service, message);
    } else if (!hub) {
      delivery!.reject(notFound(address));
    } else if ((bytes?.byteLength ?? 0) > MAX_MESSAGE_BYTES) {
      delivery!.reject(amqpError('amqp:link:message-size-exceeded', `${bytes!.byteLength} bytes are too many`));
    } else {
      const key = annotationsOf(message)['x-opt-partition-key'] as string | undefined;
      const log = hub.partitions[partition ?? hub.partitionOf(key)]!;
      this.#store(this.#eventsOf(message, delivery!.format), log, { receiver: receiver!, delivery: delivery! }, hub);
    }
  }

  #store(
    events: readonly Message[],
    log: PartitionLog,
    { receiver, delivery }: { readonly receiver: Receiver; readonly delivery: Delivery },
    hub: Hub,
  ): void {
    const fault = this.sendFault?.(hub.name, log.id);
    if (typeof fault === 'object') delivery.reject(amqpError(fault.refuse, saidWith(fault.refuse)));
    else if (fault === 'detached') receiver.close(amqpError('amqp:link:detach-forced', 'by the test'));
    else {
      log.append(events);
      if (fault === 'answer lost') this.#cut(receiver.connection);
      else if (fault === 'stored and detached') receiver.close(amqpError(THROTTLED, saidWith(THROTTLED)));
      else delivery.accept();
    }
  }

  #eventsOf(message: Message, format: number): readonly Message[] {
    const body = message['body'] as { typecode: number; multiple?: boolean; content: unknown };
    if (format !== BATCH_FORMAT || body.typecode !== DATA_SECTION) return [message];
    const sections = body.multiple === true ? (body.content as Buffer[]) : [body.content as Buffer];
    return sections.map((section) => this.#decode(section));
  }

  #decode(bytes: Buffer): Message {
    return this.#rhea.message.decode(bytes) as unknown as Message;
  }

  #answer(receiver: Receiver, service: Service, request: Message): void {
    const asked = (request['application_properties'] ?? {}) as Record<string, string>;
    const { status, description, body } =
      service === '$cbs'
        ? this.#claim()
        : this.#describe(asked['type'] ?? '', asked['name'] ?? '', Number(asked['partition']));
    const replyTo = request['reply_to'] as string;
    receiver.connection
      .find_sender((link: Sender) => link.name === replyTo || attachOf(link).target.address === replyTo)
      ?.send({
        ...{ correlation_id: request['message_id'] as string, body },
        application_properties: {
          ...{ 'status-code': this.#rhea.types.wrap_int(status), 'status-description': description },
        },
      });
  }

  #claim(): Answer {
    return this.refusesTokens
      ? { status: 401, description: 'InvalidSignature: The token has an invalid signature.', body: null }
      : { status: 202, description: 'Accepted', body: null };
  }

  #describe(type: string, name: string, partition: number): Answer {
    const { types } = this.#rhea;
    const hub = this.#hubs.get(name);
    if (!hub) return { status: 404, description: `The messaging entity '${name}' could not be found.`, body: null };
    if (type === 'com.microsoft:eventhub') {
      const ids = hub.partitions.map(({ id }) => String(id));
      return ok({
        ...{ name, type, created_at: types.wrap_timestamp(hub.createdAtMs) },
        ...{ partition_count: types.wrap_int(ids.length), partition_ids: types.wrap_array(ids, 0xa1, undefined) },
        georeplication_factor: types.wrap_int(1),
      });
    }
    const log = hub.partitions[partition];
    if (!log) return { status: 404, description: `The partition '${partition}' could not be found.`, body: null };
    return ok({
      ...{ name, type, partition: String(partition), is_partition_empty: log.events.length === 0 },
      begin_sequence_number: types.wrap_long(log.events[0]?.sequenceNumber ?? log.nextSequenceNumber),
      last_enqueued_sequence_number: types.wrap_long(log.nextSequenceNumber - 1),
      last_enqueued_offset: log.lastOffset,
      last_enqueued_time_utc: types.wrap_timestamp(log.lastEnqueuedAtMs),
    });
  }

  /** Of `hub`, `hub/Partitions/3`, `hub/ConsumerGroups/$Default/Partitions/3`, `$cbs`, `hub/$management`. */
  #placeOf(address: string): {
    readonly hub: Hub | undefined;
    readonly group?: string;
    readonly partition?: number;
    readonly service?: Service;
  } {
    const parts = address.split('/');
    const service = SERVICES.find((each) => each === parts.at(-1));
    const after = (name: string): string | undefined => {
      const at = parts.findIndex((part) => part.toLowerCase() === name);
      return at < 0 ? undefined : parts[at + 1];
    };
    const [group, partition] = [after('consumergroups'), after('partitions')];
    return {
      hub: this.#hubs.get(parts[0]!),
      ...(group !== undefined && { group }),
      ...(partition !== undefined && { partition: Number(partition) }),
      ...(service && { service }),
    };
  }
}

const SERVICES = ['$cbs', '$management'] as const;
type Service = (typeof SERVICES)[number];

interface Answer {
  readonly status: number;
  readonly description: string;
  readonly body: unknown;
}

interface StoredEvent {
  readonly sequenceNumber: number;
  readonly offset: string;
  readonly enqueuedAtMs: number;
  readonly message: Message;
}

class Hub {
  readonly name: string;
  readonly createdAtMs = Date.now();
  readonly partitions: readonly PartitionLog[];
  /** In small letters: names of Event Hubs are the same in any. */
  readonly consumerGroups: ReadonlySet<string>;
  #next = 0;

  constructor(name: string, partitions: number, consumerGroups: readonly string[]) {
    this.name = name;
    this.partitions = Array.from({ length: partitions }, (_, id) => new PartitionLog(id));
    this.consumerGroups = new Set(consumerGroups.map((each) => each.toLowerCase()));
  }

  /** One after the other without a key. */
  partitionOf(key: string | undefined): number {
    let hash = this.#next;
    if (key === undefined) this.#next++;
    else hash = Buffer.from(key).reduce((sum, byte) => (sum * 31 + byte) % 65_521, 7);
    return hash % this.partitions.length;
  }
}

class PartitionLog {
  readonly id: number;
  readonly events: StoredEvent[] = [];
  readonly readers = new Set<Reader>();
  nextSequenceNumber = 0;
  lastOffset = '-1';
  lastEnqueuedAtMs = 0;
  #bytes = 0;

  constructor(id: number) {
    this.id = id;
  }

  append(messages: readonly Message[]): void {
    for (const message of messages) {
      this.lastOffset = String(this.#bytes);
      this.lastEnqueuedAtMs = Date.now();
      const sequenceNumber = this.nextSequenceNumber++;
      this.events.push({ sequenceNumber, offset: this.lastOffset, enqueuedAtMs: this.lastEnqueuedAtMs, message });
      const { content } = message['body'] as { content?: { length: number } };
      this.#bytes += 64 + (content?.length ?? 0);
    }
    for (const reader of this.readers) reader.pump();
  }

  forget(beforeSequenceNumber: number): void {
    const kept = this.events.findIndex(({ sequenceNumber }) => sequenceNumber >= beforeSequenceNumber);
    this.events.splice(0, kept < 0 ? this.events.length : kept);
  }
}

/** A client's receiver of a partition. */
class Reader {
  readonly link: Sender;
  readonly ownerLevel: number | undefined;
  readonly #rhea: typeof Rhea.default;
  readonly #log: PartitionLog;
  readonly #group: string;
  #nextSequenceNumber: number;

  constructor(rhea: typeof Rhea.default, link: Sender, log: PartitionLog, group: string) {
    this.#rhea = rhea;
    this.link = link;
    this.#log = log;
    this.#group = group;
    const { properties = {}, source } = attachOf(link);
    const level = properties['com.microsoft:epoch'];
    this.ownerLevel = level === undefined ? undefined : Number(level);
    this.#nextSequenceNumber = startOf(log, filterOf(source.filter));
  }

  /** One with an owner level goes before one without, and a higher level before a lower. */
  yieldsTo(other: Reader): boolean {
    return this.#group === other.#group && (this.ownerLevel ?? -1) < (other.ownerLevel ?? -1);
  }

  /** Of two with the same owner level the later stays; without one they share. */
  takesFrom(other: Reader): boolean {
    return this.#group === other.#group && this.ownerLevel !== undefined && this.ownerLevel === other.ownerLevel;
  }

  detach(error?: Rhea.AmqpError): void {
    this.sendNoMore();
    this.link.close(error);
  }

  /** Of a link that is closed rhea would still send what waits for the client's window; a client drops the whole connection for a transfer after the detach. */
  sendNoMore(): void {
    this.link.has_credit = () => false;
  }

  pump(): void {
    const { types } = this.#rhea;
    const [first] = this.#log.events;
    if (!first) return;
    this.#nextSequenceNumber = Math.max(this.#nextSequenceNumber, first.sequenceNumber);
    while (this.link.sendable()) {
      const event = this.#log.events[this.#nextSequenceNumber - first.sequenceNumber];
      if (!event) return;
      this.#nextSequenceNumber++;
      this.link.send({
        ...event.message,
        message_annotations: {
          ...annotationsOf(event.message),
          'x-opt-sequence-number': types.wrap_long(event.sequenceNumber),
          'x-opt-offset': event.offset,
          'x-opt-enqueued-time': types.wrap_timestamp(event.enqueuedAtMs),
        },
      });
    }
  }
}

/** From which sequence number on the filter has the partition. */
function startOf(log: PartitionLog, filter: string): number {
  const [, by = 'offset', comparison = '>', value = '-1'] =
    /x-opt-(offset|sequence-number|enqueued-time)\s*(>=?)\s*'([^']*)'/.exec(filter) ?? [];
  if (value === '@latest') return log.nextSequenceNumber;
  if (by === 'sequence-number') return Number(value) + (comparison === '>' ? 1 : 0);
  const place = (event: StoredEvent): number => (by === 'offset' ? Number(event.offset) : event.enqueuedAtMs);
  const first = log.events.find((event) =>
    comparison === '>' ? place(event) > Number(value) : place(event) >= Number(value),
  );
  return first?.sequenceNumber ?? log.nextSequenceNumber;
}

/** A described string, as rhea has it: a value in a value. */
function filterOf(filter: Readonly<Record<string, unknown>> | undefined): string {
  let given = filter?.['apache.org:selector-filter:string'];
  while (typeof given === 'object' && given !== null) given = (given as { readonly value?: unknown }).value;
  return typeof given === 'string' ? given : '';
}

/** What the client's attach says of the link. */
interface Attach {
  readonly source: { readonly address: string; readonly filter?: Readonly<Record<string, unknown>> };
  readonly target: { readonly address: string };
  readonly properties?: Readonly<Record<string, unknown>>;
}

function attachOf(link: Receiver | Sender): Attach {
  // Not copied: what rhea has read of a frame is behind getters.
  const { source, target, properties } = (link as unknown as { remote: { attach: Partial<Attach> } }).remote.attach;
  return {
    source: source?.address === undefined ? NOWHERE : source,
    target: target?.address === undefined ? NOWHERE : target,
    ...(properties && { properties }),
  };
}

const NOWHERE = { address: '' };

function annotationsOf(message: Message): Readonly<Record<string, unknown>> {
  return message['message_annotations'] ?? {};
}

function ok(body: unknown): Answer {
  return { status: 200, description: 'OK', body };
}

function notFound(address: string): { condition: string; description: string } {
  return amqpError('amqp:not-found', `The messaging entity '${address}' could not be found.`);
}

/** As the service words it (https://github.com/Azure/azure-sdk-for-js/issues/12587). */
function saidWith(condition: string): string {
  return condition === THROTTLED
    ? 'The request was terminated because the entity is being throttled. Error code : 50002. Please wait 4 seconds and try again.'
    : 'by the test';
}

function amqpError(condition: string, description: string): { condition: string; description: string } {
  return { condition, description };
}
