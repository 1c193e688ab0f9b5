import type * as Sdk from '@azure/event-hubs';
import { messageOf, PortError } from '#core/errors.ts';
import { orElseOnAbort } from '#core/stop-waiting.ts';
import { codeOfAzureError } from '../azure-errors.ts';
import type { After, HubConsumer, Receiver, ReceiverOptions } from './client.ts';
import { bytesReceived, closedWithin, cutConnection, isConnected, onceDisconnected } from './sdk-connection.ts';

/** Of a receiver that another with a higher owner level took the place of. */
const STOLEN = 'ReceiverDisconnectedError';

export interface SdkConsumerOptions {
  readonly open: () => Sdk.EventHubConsumerClient;
  /** For messages. */
  readonly what: string;
  /** A connection over which nothing came for so long is asked for an answer, which it has as long again to give. */
  readonly timeoutMs: number;
}

/** A client of the SDK with its connection, and who receives over it. */
interface Line {
  readonly client: Sdk.EventHubConsumerClient;
  readonly receivers: Set<OpenReceiver>;
  watch?: NodeJS.Timeout | undefined;
}

interface OpenReceiver {
  readonly options: ReceiverOptions;
  readonly subscription: Sdk.Subscription;
}

/**
 * What the SDK does of a consumer, over one connection at a time. A receiver of the SDK that nothing comes to looks like one of a quiet partition
 * for two minutes, and for good where the connection was silent while it was made; so one that is silent is asked something now and then.
 */
export class SdkConsumer implements HubConsumer {
  readonly #options: SdkConsumerOptions;
  #line: Line | undefined;

  constructor(options: SdkConsumerOptions) {
    this.#options = options;
  }

  receive(options: ReceiverOptions): Receiver {
    const line = (this.#line ??= this.#openLine());
    const receiver = { options, subscription: this.#subscribe(line, options) };
    line.receivers.add(receiver);
    this.#watch(line);
    return {
      close: async () => {
        line.receivers.delete(receiver);
        if (line.receivers.size === 0) this.#unwatch(line);
        await closedWithin(this.#options.timeoutMs, receiver.subscription);
      },
    };
  }

  async close(): Promise<void> {
    const line = this.#line;
    if (!line) return;
    this.#line = undefined;
    this.#unwatch(line);
    if (!(await closedWithin(this.#options.timeoutMs, line.client))) cutConnection(line.client);
  }

  abandon(): void {
    if (this.#line) this.#giveUp(this.#line);
  }

  #openLine(): Line {
    const line: Line = { client: this.#options.open(), receivers: new Set() };
    // Whoever opens a link meanwhile would wait for its answer until the SDK's patience ends, up to a minute.
    onceDisconnected(line.client, (error) => {
      if (this.#line !== line) return;
      const why = error === undefined ? '' : `: ${messageOf(error)}`;
      this.#fail(
        line,
        new PortError('unavailable', `${this.#options.what}: the connection is lost${why}`, { cause: error }),
      );
    });
    return line;
  }

  #subscribe(line: Line, options: ReceiverOptions): Sdk.Subscription {
    const { partition, after, ownerLevel, maxEvents, waitMs, onEvents, onError } = options;
    const before = bytesReceived(line.client);
    return line.client.subscribe(
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
          const isLost = !isConnected(line.client) || bytesReceived(line.client) === before;
          if (portError.code === 'unavailable' && isLost) this.#fail(line, portError);
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

  /** Asks the connection whenever nothing came over it, for as long as somebody receives. */
  #watch(line: Line): void {
    if (line.watch) return;
    const before = bytesReceived(line.client);
    line.watch = setTimeout(() => void this.#look(line, before), this.#options.timeoutMs);
  }

  #unwatch(line: Line): void {
    clearTimeout(line.watch);
    line.watch = undefined;
  }

  async #look(line: Line, before: number): Promise<void> {
    const { timeoutMs, what } = this.#options;
    const watch = line.watch;
    const isSilent = (): boolean => bytesReceived(line.client) === before;
    if (isSilent()) await this.#ask(line);
    // Somebody else looks after it, or nobody needs to any more.
    if (line.watch !== watch) return;
    line.watch = undefined;
    if (!isSilent()) {
      this.#watch(line);
      return;
    }
    this.#fail(line, new PortError('deadline_exceeded', `${what}: no answer within ${timeoutMs} ms`));
  }

  /** Gives the connection up, and tells who still receives over it. */
  #fail(line: Line, error: PortError): void {
    const receivers = [...line.receivers];
    this.#giveUp(line);
    for (const { options } of receivers) options.onError(error, false);
  }

  /** Whatever the answer is, it comes over the connection. */
  async #ask({ client }: Line): Promise<void> {
    const late = AbortSignal.timeout(this.#options.timeoutMs);
    const answer = client.getEventHubProperties({ abortSignal: late });
    await orElseOnAbort(answer, late, () => late.reason as Error).catch(() => undefined);
  }

  /** The receivers end first: they would make it anew. */
  #giveUp(line: Line): void {
    if (this.#line === line) this.#line = undefined;
    this.#unwatch(line);
    for (const { subscription } of line.receivers) subscription.close().catch(() => undefined);
    line.receivers.clear();
    cutConnection(line.client);
    line.client.close().catch(() => undefined);
  }
}

function positionAfter(after: After): Sdk.EventPosition {
  if (after === 'end') return { offset: '@latest' };
  if (typeof after === 'object') return { enqueuedOn: Math.max(0, after.enqueuedSinceMs - 1) };
  return after < 0 ? { offset: '-1' } : { sequenceNumber: after, isInclusive: false };
}
