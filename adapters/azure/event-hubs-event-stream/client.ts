import type * as Sdk from '@azure/event-hubs';
import { isPortError, PortError, throwIfAborted } from '#core/errors.ts';
import { orElseOnAbort, orStopWaiting } from '#core/stop-waiting.ts';
import { cloudCall } from '../../cloud-call.ts';
import { loadSdk } from '../../sdk.ts';
import { codeOfAzureError } from '../azure-errors.ts';
import type { EventHubsPlace } from '../event-hubs-place.ts';
import { SdkConsumer } from './sdk-consumer.ts';
import { cutConnection, isConnected } from './sdk-connection.ts';
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

/**
 * Reads a hub by one consumer group, over one connection; a partition by one receiver at a time. A connection over which no answer comes is given
 * up, which its receivers are told as an error; the next receiver has another one.
 */
export interface HubConsumer {
  receive(options: ReceiverOptions): Receiver;
  close(): Promise<void>;
  /** Ends the connection at once, and whatever is under way over it. */
  abandon(): void;
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
  const once = (timeoutInMs: number) => ({ retryOptions: { maxRetries: 0, timeoutInMs } });
  // The limit of a call is kept here; the SDK's own is for what it does besides.
  const options = once(2 * timeoutMs);
  const consumerOptions = { ...once(timeoutMs), loadBalancingOptions: { updateIntervalInMs: NEVER_MS } };
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

/** A client of the SDK for a hub, with its connection. */
interface Line {
  readonly producer: Sdk.EventHubProducerClient;
  /** Aborted once it is given up: nothing goes over it any more. */
  readonly givenUp: AbortController;
}

class SdkClient implements EventHubsClient {
  readonly #timeoutMs: number;
  readonly #open: Openers;
  readonly #lines = new Map<string, Line>();
  /** Consumers that are lent to nobody, by hub and consumer group. */
  readonly #idle = new Map<string, HubConsumer[]>();
  #isClosed = false;

  constructor(timeoutMs: number, open: Openers) {
    this.#timeoutMs = timeoutMs;
    this.#open = open;
  }

  partitionCount(hub: string, signal?: AbortSignal): Promise<number> {
    return this.#call({ hub, what: `partitions of ${hub}`, signal }, async (producer, abortSignal) => {
      const { partitionIds } = await producer.getEventHubProperties({ abortSignal });
      return partitionIds.length;
    });
  }

  partition(hub: string, partition: number, signal?: AbortSignal): Promise<PartitionState> {
    return this.#call({ hub, what: `partition ${partition} of ${hub}`, signal }, async (producer, abortSignal) => {
      const state = await producer.getPartitionProperties(String(partition), { abortSignal });
      const { beginningSequenceNumber: first, lastEnqueuedSequenceNumber: last, isEmpty } = state;
      return { first, last, lastEnqueuedAtMs: state.lastEnqueuedOnUtc.getTime(), isEmpty };
    });
  }

  openBatch(hub: string, place: PartitionPlace): Promise<Batch> {
    const isNumber = typeof place === 'number';
    const what = {
      hub,
      what: `publish to ${isNumber ? `partition ${place}` : `the partition of ${place.key}`} of ${hub}`,
    };
    return this.#call(what, async (producer, abortSignal) => {
      stopLostRenewals(producer);
      const at = isNumber ? { partitionId: String(place) } : { partitionKey: place.key };
      const batch = await producer.createBatch({ ...at, abortSignal });
      return {
        tryAdd: (event) => batch.tryAdd(eventOf(event, place)),
        send: () => this.#call(what, (current, stopped) => current.sendBatch(batch, { abortSignal: stopped })),
      };
    });
  }

  openConsumer(hub: string, consumerGroup: string): HubConsumer {
    const open = () => this.#open.consumer(hub, consumerGroup);
    return new SdkConsumer({ open, what: `receive ${hub} by ${consumerGroup}`, timeoutMs: this.#timeoutMs });
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
      // What is wrong may be its connection, and theirs, too.
      for (const each of [consumer, ...idle.splice(0)]) each.abandon();
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const consumers = [...this.#idle.values()].flat();
    this.#idle.clear();
    await Promise.allSettled([
      ...[...this.#lines.values()].map(({ producer }) => closeProducer(producer, this.#timeoutMs)),
      ...consumers.map((each) => each.close()),
    ]);
  }

  /** A caller that stops waiting leaves the SDK's call alone: a connection that others wait for may be under way. */
  async #call<Result>(
    { hub, what, signal }: { readonly hub: string; readonly what: string; readonly signal?: AbortSignal | undefined },
    call: (producer: Sdk.EventHubProducerClient, signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    throwIfAborted(signal);
    const line = this.#lineTo(hub);
    const answer = cloudCall({ what, timeoutMs: this.#timeoutMs }, codeOfAzureError, async (timedOut) => {
      const over = AbortSignal.any([timedOut, line.givenUp.signal]);
      // The SDK looks at it at some of its steps only.
      return orElseOnAbort(call(line.producer, over), over, () => over.reason as Error);
    });
    return orStopWaiting(
      answer.catch((error: unknown) => this.#failed(hub, line, error)),
      signal,
    );
  }

  /**
   * A connection of the SDK (6.0.4) that was silent while it was made never comes to be, and every call over it would wait for it in vain. One
   * that is there is kept however silent it is: what was sent over it comes before what follows.
   */
  #failed(hub: string, line: Line, error: unknown): never {
    if (isOfConnection(error) && !isConnected(line.producer)) this.#giveUp(hub, line, error);
    throw error;
  }

  #lineTo(hub: string): Line {
    let line = this.#lines.get(hub);
    if (!line) this.#lines.set(hub, (line = { producer: this.#open.producer(hub), givenUp: new AbortController() }));
    return line;
  }

  #giveUp(hub: string, line: Line, cause: PortError): void {
    const { producer, givenUp } = line;
    if (givenUp.signal.aborted) return;
    if (this.#lines.get(hub) === line) this.#lines.delete(hub);
    givenUp.abort(new PortError('unavailable', `the connection to ${hub} was given up: ${cause.message}`, { cause }));
    cutConnection(producer);
    void closeProducer(producer, this.#timeoutMs);
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

function isOfConnection(error: unknown): error is PortError {
  return isPortError(error) && (error.code === 'deadline_exceeded' || error.code === 'unavailable');
}
