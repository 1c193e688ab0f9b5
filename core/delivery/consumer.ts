import type { StampedEvent, StreamName } from '../domain/event.ts';
import type { MachineKey } from '../domain/ids.ts';
import { isOfService, isPortError, isRetryable } from '../errors.ts';
import type { DeliveryBatch, EventStream, SubscribeOptions, Subscription } from '../ports/event-stream.ts';
import { atStart } from './at-start.ts';
import { ForbiddenEvents } from './forbidden-events.ts';
import { retry, type RetryPolicy } from './retry.ts';

export interface ConsumerOptions extends SubscribeOptions {
  readonly stream: EventStream;
  readonly streamName: StreamName;
  readonly group: string;
  /**
   * Resolves once the results of all events are durable. It sees an event again after a failure or a restart, so it must be idempotent. Order is kept within a
   * machine. What `setsForbiddenAside` goes by: {@link NOTHING_ASKED}, where no event needed what may be forbidden, says nothing of the others.
   */
  readonly process: (events: readonly StampedEvent[], signal: AbortSignal) => Promise<unknown>;
  /** Takes an event that `process` refuses for good; resolves once that is durable. */
  readonly deadLetter: (event: StampedEvent, error: unknown, signal: AbortSignal) => Promise<void>;
  /** How often a poison event is tried before it is dead-lettered. Default 3. */
  readonly poisonAttempts?: number;
  /**
   * For a use case that keeps no watermark of what it has settled: an event that alone is forbidden (`permission_denied`) holds up its own machine and not
   * the others, and is dead-lettered where it stays forbidden while others go through.
   */
  readonly setsForbiddenAside?: boolean;
  /** Delays while a dependency is away; such a batch is tried until it succeeds or the consumer closes. */
  readonly whileAway?: Pick<RetryPolicy, 'firstDelayMs' | 'longestDelayMs'>;
  readonly onRetry?: (error: unknown) => void;
}

export const NOTHING_ASKED = 'nothing asked';

const WHILE_AWAY = { firstDelayMs: 50, longestDelayMs: 5000 };
const POISON_ATTEMPTS = 3;

/**
 * Runs a use case behind a consumer group, with the same promises on every provider: progress follows the results; a dependency that is away,
 * or lets nobody in, is waited for, and nothing is read ahead meanwhile; an event that can never be processed is found by halving its batch, tried again, and
 * dead-lettered, while the others of the batch go through. See `setsForbiddenAside` for what is not let in alone.
 */
export function runConsumer(options: ConsumerOptions): Promise<Subscription> {
  const { stream, streamName, group, maxBatchEvents, maxBatchBytes, resumeAfter } = options;
  const forbidden = options.setsForbiddenAside === true ? new ForbiddenEvents() : undefined;
  const handler = (batch: DeliveryBatch, signal: AbortSignal) => new BatchRun(options, forbidden, signal).settle(batch);
  const limits = {
    maxBatchEvents,
    ...(maxBatchBytes === undefined ? {} : { maxBatchBytes }),
    ...(resumeAfter === undefined ? {} : { resumeAfter }),
  };
  return atStart(() => stream.subscribe(streamName, group, handler, limits));
}

/** What is forbidden is tried so often again in place before it is asked whether it is so alone: some seconds with the usual delays. */
const FORBIDDEN_PATIENCE = 6;
/** So many forbidden attempts with nothing that goes through, and the rest of the batch is taken to be forbidden, too. */
const FORBIDDEN_PROBES = 24;

/** One batch on its way through the use case. */
class BatchRun {
  readonly #options: ConsumerOptions;
  readonly #forbidden: ForbiddenEvents | undefined;
  readonly #signal: AbortSignal;
  readonly #setAside = new Set<StampedEvent>();
  readonly #held = new Set<MachineKey>();
  #patience = Infinity;
  #probesLeft = FORBIDDEN_PROBES;

  constructor(options: ConsumerOptions, forbidden: ForbiddenEvents | undefined, signal: AbortSignal) {
    this.#options = options;
    this.#forbidden = forbidden;
    this.#signal = signal;
  }

  async settle(batch: DeliveryBatch): Promise<void> {
    const forbidden = this.#forbidden;
    if (forbidden) this.#patience = batch.redeliveries === 0 || forbidden.isAllForbidden ? FORBIDDEN_PATIENCE : 0;
    const passes = forbidden?.passes;
    await this.#processOrSplit(batch.events);
    if (this.#setAside.size === 0) return batch.ack();
    if (forbidden && forbidden.passes === passes) forbidden.isAllForbidden = true;
    return batch.nack([...batch.events.entries()].flatMap(([at, event]) => (this.#setAside.has(event) ? [at] : [])));
  }

  async #processOrSplit(given: readonly StampedEvent[]): Promise<void> {
    const events = this.#held.size === 0 ? given : given.filter((event) => !this.#isHeld(event));
    if (events.length === 0) return;
    const failure = await this.#attempt(events);
    if (!failure) return;
    const [first] = events;
    if (events.length === 1 && first) return this.#settleRefused(first, failure.error);
    if (isForbidden(failure.error) && this.#probesLeft <= 0) {
      for (const event of events) this.#hold(event);
      return;
    }
    const middle = events.length >> 1;
    await this.#processOrSplit(events.slice(0, middle));
    await this.#processOrSplit(events.slice(middle));
  }

  async #settleRefused(event: StampedEvent, firstError: unknown): Promise<void> {
    let error = firstError;
    const attempts = this.#options.poisonAttempts ?? POISON_ATTEMPTS;
    for (let tries = 1; tries < attempts && !isForbidden(error); tries++) {
      const failure = await this.#attempt([event]);
      if (!failure) return;
      error = failure.error;
    }
    if (isForbidden(error) && this.#forbidden?.isForGood(event) !== true) this.#hold(event);
    else await this.#untilThere(() => this.#options.deadLetter(event, error, this.#signal), isOfService);
  }

  /** Behind an event of its machine that was set aside it is set aside, too: order is kept. */
  #isHeld(event: StampedEvent): boolean {
    const isHeld = this.#held.has(event.key);
    if (isHeld) this.#setAside.add(event);
    return isHeld;
  }

  #hold(event: StampedEvent): void {
    this.#setAside.add(event);
    this.#held.add(event.key);
  }

  /** Undefined when the events are processed; the error when they are refused for good, or forbidden. Rejects only when the consumer is closing. */
  async #attempt(events: readonly StampedEvent[]): Promise<{ readonly error: unknown } | undefined> {
    const mayPass = (error: unknown) => isRetryable(error) || (isForbidden(error) && this.#patience-- > 0);
    try {
      const outcome = await this.#untilThere(() => this.#options.process(events, this.#signal), mayPass);
      if (outcome === NOTHING_ASKED) return undefined;
      this.#forbidden?.passed(events);
      this.#probesLeft = FORBIDDEN_PROBES;
      return undefined;
    } catch (error) {
      if (this.#signal.aborted || isRetryable(error)) throw error;
      if (isForbidden(error)) this.#probesLeft--;
      return { error };
    }
  }

  #untilThere<Result>(call: () => Promise<Result>, mayPass: (error: unknown) => boolean): Promise<Result> {
    const { whileAway = WHILE_AWAY, onRetry } = this.#options;
    const given = { signal: this.#signal, mayPass, ...(onRetry ? { onRetry } : {}) };
    return retry(call, { maxAttempts: Infinity, ...whileAway }, given);
  }
}

function isForbidden(error: unknown): boolean {
  return isPortError(error) && error.code === 'permission_denied';
}
