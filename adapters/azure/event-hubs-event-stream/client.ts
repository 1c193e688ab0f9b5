import type * as Sdk from '@azure/event-hubs';
import { PortError } from '#core/errors.ts';
import { cloudCall } from '../../cloud-call.ts';
import { loadSdk } from '../../sdk.ts';
import { codeOfAzureError } from '../azure-errors.ts';
import type { EventHubsPlace } from '../event-hubs-place.ts';
import { closeProducer, stopLostRenewals } from './token-renewals.ts';

/** An event as it is sent. */
export interface OutgoingEvent {
  readonly body: Uint8Array;
  readonly properties?: Readonly<Record<string, string>>;
  /** What a service of Azure says of an event that it routes: the hub keeps it, and whoever receives it has it as `systemProperties`. */
  readonly annotations?: Readonly<Record<string, string>>;
}

/** A partition by its number, or the one of all events with that key. */
export type PartitionPlace = number | { readonly key: string };

/** An event as it is received. */
export interface IncomingEvent {
  readonly sequenceNumber: number;
  readonly enqueuedAtMs: number;
  readonly body: unknown;
  readonly properties: Readonly<Record<string, unknown>>;
  /** What a service that sent it says of it, beside the names of AMQP. */
  readonly systemProperties: Readonly<Record<string, unknown>>;
}

/** What of a partition there is. */
export interface PartitionState {
  readonly first: number;
  /** -1 where there never was one. */
  readonly last: number;
  readonly lastEnqueuedAtMs: number;
  readonly isEmpty: boolean;
}

/** Events that become durable whole or not at all. */
export interface Batch {
  /** False where it is too much for the batch. */
  tryAdd(event: OutgoingEvent): boolean;
  send(): Promise<void>;
}

/** The events after this one, all with -1; those that were enqueued at that time or later; those that are still to come. */
export type After = number | { readonly enqueuedSinceMs: number } | 'end';

export interface ReceiverOptions {
  readonly partition: number;
  readonly after: After;
  /** Ends receivers of the consumer group with a lower one, and those without. Undefined: several may read. */
  readonly ownerLevel?: number | undefined;
  /** So many at a time. */
  readonly maxEvents: number;
  /** `onEvents` is called after so long without any. */
  readonly waitMs: number;
  /** The next ones come once it resolves. */
  readonly onEvents: (events: readonly IncomingEvent[]) => Promise<void>;
  /** The receiver is of no more use; `isTaken`: another one has the partition. */
  readonly onError: (error: PortError, isTaken: boolean) => void;
}

export interface Receiver {
  close(): Promise<void>;
}

/** Reads a hub by one consumer group, over one connection; a partition by one receiver at a time. */
export interface HubConsumer {
  receive(options: ReceiverOptions): Receiver;
  close(): Promise<void>;
}

/** The calls of Event Hubs that the stream makes, each one attempt. What they throw is a PortError. */
export interface EventHubsClient {
  partitionCount(hub: string, signal?: AbortSignal): Promise<number>;
  partition(hub: string, partition: number, signal?: AbortSignal): Promise<PartitionState>;
  openBatch(hub: string, place: PartitionPlace): Promise<Batch>;
  openConsumer(hub: string, consumerGroup: string): HubConsumer;
  /** Lends one whose connection was used before, where there is one: for a short reading, at whose end no receiver is left. */
  withConsumer<Result>(
    hub: string,
    consumerGroup: string,
    use: (consumer: HubConsumer) => Promise<Result>,
  ): Promise<Result>;
  close(): Promise<void>;
}

/** https://learn.microsoft.com/azure/event-hubs/event-hubs-amqp-protocol */
const PARTITION_KEY = 'x-opt-partition-key';
/** Of a receiver that another with a higher owner level took the place of. */
const STOLEN = 'ReceiverDisconnectedError';
/** One reads at a time, and now and then two. */
const MAX_IDLE_CONSUMERS = 2;
/** The SDK would look again this often whether a receiver has ended, and begin it at its first position. */
const NEVER_MS = 2 ** 31 - 1;

/** The SDK is loaded here and nowhere else, so that a site without Event Hubs never loads it. Connects at the first call. */
export async function openEventHubs(config: EventHubsPlace & { readonly timeoutMs: number }): Promise<EventHubsClient> {
  const [sdk, { DefaultAzureCredential }] = await loadSdk('Azure', () =>
    Promise.all([import('@azure/event-hubs'), import('@azure/identity')]),
  );
  const { namespace, hubsEmulatorConnectionString, timeoutMs } = config;
  const options = { retryOptions: { maxRetries: 0, timeoutInMs: timeoutMs } };
  const consumerOptions = { ...options, loadBalancingOptions: { updateIntervalInMs: NEVER_MS } };
  if (hubsEmulatorConnectionString !== undefined) {
    const place = hubsEmulatorConnectionString;
    return new SdkClient(timeoutMs, {
      producer: (hub) => new sdk.EventHubProducerClient(place, hub, options),
      consumer: (hub, group) => new sdk.EventHubConsumerClient(group, place, hub, consumerOptions),
    });
  }
  const [place, credential] = [namespace!, new DefaultAzureCredential()];
  return new SdkClient(timeoutMs, {
    producer: (hub) => new sdk.EventHubProducerClient(place, hub, credential, options),
    consumer: (hub, group) => new sdk.EventHubConsumerClient(group, place, hub, credential, consumerOptions),
  });
}

interface Openers {
  readonly producer: (hub: string) => Sdk.EventHubProducerClient;
  readonly consumer: (hub: string, consumerGroup: string) => Sdk.EventHubConsumerClient;
}

class SdkClient implements EventHubsClient {
  readonly #timeoutMs: number;
  readonly #open: Openers;
  /** A connection each. */
  readonly #producers = new Map<string, Sdk.EventHubProducerClient>();
  /** Consumers that are lent to nobody, by hub and consumer group. */
  readonly #idle = new Map<string, HubConsumer[]>();
  #isClosed = false;

  constructor(timeoutMs: number, open: Openers) {
    this.#timeoutMs = timeoutMs;
    this.#open = open;
  }

  partitionCount(hub: string, signal?: AbortSignal): Promise<number> {
    return this.#call(`partitions of ${hub}`, signal, async (abortSignal) => {
      const { partitionIds } = await this.#producer(hub).getEventHubProperties({ abortSignal });
      return partitionIds.length;
    });
  }

  partition(hub: string, partition: number, signal?: AbortSignal): Promise<PartitionState> {
    return this.#call(`partition ${partition} of ${hub}`, signal, async (abortSignal) => {
      const state = await this.#producer(hub).getPartitionProperties(String(partition), { abortSignal });
      const { beginningSequenceNumber: first, lastEnqueuedSequenceNumber: last, isEmpty } = state;
      return { first, last, lastEnqueuedAtMs: state.lastEnqueuedOnUtc.getTime(), isEmpty };
    });
  }

  openBatch(hub: string, place: PartitionPlace): Promise<Batch> {
    const isNumber = typeof place === 'number';
    const what = `publish to ${isNumber ? `partition ${place}` : `the partition of ${place.key}`} of ${hub}`;
    return this.#call(what, undefined, async (abortSignal) => {
      const producer = this.#producer(hub);
      stopLostRenewals(producer);
      const at = isNumber ? { partitionId: String(place) } : { partitionKey: place.key };
      const batch = await producer.createBatch({ ...at, abortSignal });
      return {
        tryAdd: (event) => batch.tryAdd(eventOf(event, place)),
        send: () => this.#call(what, undefined, (stopped) => producer.sendBatch(batch, { abortSignal: stopped })),
      };
    });
  }

  openConsumer(hub: string, consumerGroup: string): HubConsumer {
    const consumer = this.#open.consumer(hub, consumerGroup);
    return {
      receive: (options) => receive(consumer, options),
      close: () => consumer.close(),
    };
  }

  async withConsumer<Result>(
    hub: string,
    consumerGroup: string,
    use: (consumer: HubConsumer) => Promise<Result>,
  ): Promise<Result> {
    const place = `${hub} ${consumerGroup}`;
    const idle = this.#idle.get(place) ?? [];
    this.#idle.set(place, idle);
    const consumer = idle.pop() ?? this.openConsumer(hub, consumerGroup);
    try {
      const result = await use(consumer);
      if (idle.length < MAX_IDLE_CONSUMERS && !this.#isClosed) idle.push(consumer);
      else await consumer.close();
      return result;
    } catch (error) {
      // What is wrong may be its connection, and theirs, too; nobody knows how long that takes to close.
      for (const each of [consumer, ...idle.splice(0)]) void each.close().catch(() => undefined);
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const consumers = [...this.#idle.values()].flat();
    this.#idle.clear();
    await Promise.allSettled([
      ...[...this.#producers.values()].map(closeProducer),
      ...consumers.map((each) => each.close()),
    ]);
  }

  #producer(hub: string): Sdk.EventHubProducerClient {
    let producer = this.#producers.get(hub);
    if (!producer) this.#producers.set(hub, (producer = this.#open.producer(hub)));
    return producer;
  }

  #call<Result>(
    what: string,
    signal: AbortSignal | undefined,
    call: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    return cloudCall({ what, timeoutMs: this.#timeoutMs, signal }, codeOfAzureError, call);
  }
}

/** As the SDK takes it: of one with annotations it sends the key only among these. */
function eventOf({ body, properties, annotations }: OutgoingEvent, place: PartitionPlace) {
  if (annotations === undefined) return { body, ...(properties && { properties: { ...properties } }) };
  const key = typeof place === 'number' ? {} : { [PARTITION_KEY]: place.key };
  return {
    ...{ body, bodyType: 'data' as const, messageAnnotations: { ...annotations, ...key } },
    ...(properties && { applicationProperties: { ...properties } }),
  };
}

function receive(consumer: Sdk.EventHubConsumerClient, options: ReceiverOptions): Receiver {
  const { partition, after, ownerLevel, maxEvents, waitMs, onEvents, onError } = options;
  return consumer.subscribe(
    String(partition),
    {
      processEvents: (events) =>
        onEvents(
          events.map(({ sequenceNumber, enqueuedTimeUtc, body, properties = {}, systemProperties = {} }) => ({
            ...{ sequenceNumber, enqueuedAtMs: enqueuedTimeUtc.getTime(), body: body as unknown },
            ...{ properties, systemProperties },
          })),
        ),
      processError: async (error, { eventHubName, consumerGroup }) => {
        const what = `receive partition ${partition} of ${eventHubName} by ${consumerGroup}`;
        const portError = new PortError(codeOfAzureError(error), `${what}: ${String(error)}`, { cause: error });
        onError(portError, (error as { readonly code?: string }).code === STOLEN);
      },
    },
    {
      startPosition: positionAfter(after),
      ...{ maxBatchSize: maxEvents, prefetchCount: maxEvents, maxWaitTimeInSeconds: waitMs / 1000 },
      ...(ownerLevel !== undefined && { ownerLevel }),
      skipParsingBodyAsJson: true,
    },
  );
}

function positionAfter(after: After): Sdk.EventPosition {
  if (after === 'end') return { offset: '@latest' };
  if (typeof after === 'object') return { enqueuedOn: Math.max(0, after.enqueuedSinceMs - 1) };
  return after < 0 ? { offset: '-1' } : { sequenceNumber: after, isInclusive: false };
}
