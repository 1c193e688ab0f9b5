import { isOfService } from '../errors.ts';
import type { StampedEvent, StreamName } from '../domain/event.ts';
import type { DeliveryBatch, EventStream, SubscribeOptions, Subscription } from '../ports/event-stream.ts';
import { retry, type RetryPolicy } from './retry.ts';

export interface ConsumerOptions extends SubscribeOptions {
  readonly stream: EventStream;
  readonly streamName: StreamName;
  readonly group: string;
  /** Resolves once the results of all events are durable. It sees an event again after a failure or a restart, so it must be idempotent. Order is kept within a machine. */
  readonly process: (events: readonly StampedEvent[], signal: AbortSignal) => Promise<void>;
  /** Takes an event that `process` refuses for good; resolves once that is durable. */
  readonly deadLetter: (event: StampedEvent, error: unknown, signal: AbortSignal) => Promise<void>;
  /** How often a poison event is tried before it is dead-lettered. Default 3. */
  readonly poisonAttempts?: number;
  /** Delays while a dependency is away; such a batch is tried until it succeeds or the consumer closes. */
  readonly whileAway?: Pick<RetryPolicy, 'firstDelayMs' | 'longestDelayMs'>;
  readonly onRetry?: (error: unknown) => void;
}

const WHILE_AWAY = { firstDelayMs: 50, longestDelayMs: 5000 };
const POISON_ATTEMPTS = 3;

/**
 * Runs a use case behind a consumer group, with the same promises on every provider: progress follows the results; a dependency that is away,
 * or lets nobody in, is waited for, and nothing is read ahead meanwhile; an event that can never be processed is found by halving its batch, tried again, and
 * dead-lettered, while the others of the batch go through.
 */
export function runConsumer(options: ConsumerOptions): Promise<Subscription> {
  const { stream, streamName, group, maxBatchEvents, maxBatchBytes, resumeAfter } = options;
  return stream.subscribe(streamName, group, (batch, signal) => settle(options, batch, signal), {
    maxBatchEvents,
    ...(maxBatchBytes === undefined ? {} : { maxBatchBytes }),
    ...(resumeAfter === undefined ? {} : { resumeAfter }),
  });
}

async function settle(options: ConsumerOptions, batch: DeliveryBatch, signal: AbortSignal): Promise<void> {
  await processOrSplit(options, batch.events, signal);
  await batch.ack();
}

async function processOrSplit(
  options: ConsumerOptions,
  events: readonly StampedEvent[],
  signal: AbortSignal,
): Promise<void> {
  const failure = await attempt(options, events, signal);
  if (!failure) return;
  const [first] = events;
  if (events.length === 1 && first) {
    await settlePoison(options, first, failure.error, signal);
    return;
  }
  const middle = events.length >> 1;
  await processOrSplit(options, events.slice(0, middle), signal);
  await processOrSplit(options, events.slice(middle), signal);
}

async function settlePoison(
  options: ConsumerOptions,
  event: StampedEvent,
  firstError: unknown,
  signal: AbortSignal,
): Promise<void> {
  let error = firstError;
  for (let tries = 1; tries < (options.poisonAttempts ?? POISON_ATTEMPTS); tries++) {
    const failure = await attempt(options, [event], signal);
    if (!failure) return;
    error = failure.error;
  }
  await untilThere(options, () => options.deadLetter(event, error, signal), signal);
}

/** Undefined when the events are processed; the error when they are refused for good. Rejects only when the consumer is closing. */
async function attempt(
  options: ConsumerOptions,
  events: readonly StampedEvent[],
  signal: AbortSignal,
): Promise<{ readonly error: unknown } | undefined> {
  try {
    await untilThere(options, () => options.process(events, signal), signal);
    return undefined;
  } catch (error) {
    if (signal.aborted || isOfService(error)) throw error;
    return { error };
  }
}

function untilThere(options: ConsumerOptions, call: () => Promise<void>, signal: AbortSignal): Promise<void> {
  return retry(
    call,
    { maxAttempts: Infinity, ...(options.whileAway ?? WHILE_AWAY) },
    { signal, mayPass: isOfService, ...(options.onRetry ? { onRetry: options.onRetry } : {}) },
  );
}
