import { setTimeout as delay } from 'node:timers/promises';
import { isPortError, messageOf } from '#core/errors.ts';
import { decodeLine, encodeLine } from '../messages.ts';
import type { MachineMessage } from '../messages.ts';
import type { AckLog } from './ack-log.ts';
import { backoffMs } from './backoff.ts';
import { batchInOrder } from './batching.ts';
import type { SegmentQueue } from './segment-queue.ts';
import { batchIds } from './uplink.ts';
import type { Batch, Uplink } from './uplink.ts';

/** Where a device's log lines go; pino's shape. */
export interface Log {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
}

export interface StoreAndForwardOptions {
  readonly uplink: Uplink;
  readonly queue: SegmentQueue;
  readonly log: Log;
  readonly ackLog?: AckLog | undefined;
  readonly minBackoffMs?: number;
  readonly maxBackoffMs?: number;
}

export interface ForwardStats {
  readonly acknowledged: number;
  /** Messages that the platform will never take; they are logged and left. */
  readonly refused: number;
  readonly pending: number;
  /** Messages dropped because the queue was full. */
  readonly dropped: number;
  readonly connected: boolean;
}

/** Messages that are read and sent at a time. */
const WINDOW = 64;

/**
 * Every message goes through a queue in files and leaves it when the platform has acknowledged it, in order: so there is one path
 * whether the platform is there or not, and nothing is lost but what the queue's bound drops and counts.
 */
export class StoreAndForward {
  readonly #options: StoreAndForwardOptions;
  readonly #stopping = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #wake: () => void = () => undefined;
  #acknowledged = 0;
  #refused = 0;
  #connected = false;
  #reportedDrops = 0;

  constructor(options: StoreAndForwardOptions) {
    this.#options = options;
  }

  get stats(): ForwardStats {
    const { queue } = this.#options;
    return {
      acknowledged: this.#acknowledged,
      refused: this.#refused,
      pending: queue.pending,
      dropped: total(queue.dropped),
      connected: this.#connected,
    };
  }

  /** Messages of a machine that were dropped, since the queue's folder was made. */
  gapCount(machine: string): number {
    return this.#options.queue.dropped.get(machine) ?? 0;
  }

  /** Resolves once the message waits in the queue. A full disk drops the message, and counts and logs it, rather than stop the machine. */
  async enqueue(message: MachineMessage): Promise<void> {
    const { queue, log } = this.#options;
    try {
      await queue.append(encodeLine(message));
    } catch (error) {
      log.warn({ machine: message.machine, reason: String(error) }, 'a message could not be queued and is lost');
    }
    const dropped = total(queue.dropped);
    if (dropped > this.#reportedDrops) {
      log.warn(
        { dropped, pending: queue.pending },
        'the queue is full: the oldest messages were dropped and leave a gap',
      );
      this.#reportedDrops = dropped;
    }
    this.#wake();
  }

  start(): void {
    this.#reportedDrops = total(this.#options.queue.dropped);
    this.#running = this.#forward();
  }

  /** Sends no more, closes uplink and queue; what waits is sent after the next start. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake();
    await this.#running;
    await this.#options.uplink.close();
    await this.#options.queue.close();
  }

  async #forward(): Promise<void> {
    const { signal } = this.#stopping;
    let failures = 0;
    while (!signal.aborted) {
      const lines = await this.#options.queue.peek(WINDOW);
      if (lines.length === 0) {
        await this.#somethingToDo();
        continue;
      }
      const failure = await this.#sendWindow(lines, signal);
      failures = failure === undefined ? 0 : failures + 1;
      if (failure !== undefined && !this.#stopping.signal.aborted) await this.#backOff(failure, failures, lines.length);
    }
  }

  async #somethingToDo(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (this.#stopping.signal.aborted || this.#options.queue.pending > 0) resolve();
    });
  }

  /** Sends the lines and forgets those acknowledged before the first failure; what was acknowledged after it is sent again and recognised by its id. */
  async #sendWindow(lines: readonly string[], signal: AbortSignal): Promise<unknown> {
    const { uplink, queue, ackLog } = this.#options;
    const batches = batchInOrder(lines.map(decodeLine), uplink.limits);
    const outcomes = uplink.pipelines
      ? await Promise.all(batches.map((batch) => this.#sendOne(batch, signal)))
      : await this.#oneByOne(batches, signal);
    const firstFailure = outcomes.findIndex((outcome) => outcome.result === 'failed');
    const settled = firstFailure < 0 ? outcomes : outcomes.slice(0, firstFailure);
    const acknowledged = outcomes.flatMap(({ result, ids }) => (result === 'acknowledged' ? ids : []));
    await ackLog?.record(acknowledged);
    await queue.acknowledge(settled.reduce((sum, { ids }) => sum + ids.length, 0));
    for (const { result, ids } of settled) {
      if (result === 'acknowledged') this.#acknowledged += ids.length;
      else this.#refused += ids.length;
    }
    if (acknowledged.length > 0) this.#nowConnected();
    return outcomes[firstFailure]?.error;
  }

  async #oneByOne(batches: readonly Batch[], signal: AbortSignal): Promise<Outcome[]> {
    const outcomes: Outcome[] = [];
    for (const batch of batches) {
      const outcome = await this.#sendOne(batch, signal);
      outcomes.push(outcome);
      if (outcome.result === 'failed') break;
    }
    return outcomes;
  }

  async #sendOne(batch: Batch, signal: AbortSignal): Promise<Outcome> {
    const ids = batchIds(batch);
    try {
      const { rejectedItems, rejection } = await this.#options.uplink.send(batch, { signal });
      if (rejectedItems > 0) {
        this.#options.log.warn({ machine: batch.machine, rejectedItems, rejection }, 'the platform rejected items');
      }
      return { result: 'acknowledged', ids };
    } catch (error) {
      if (!isPortError(error) || error.code !== 'invalid_argument') return { result: 'failed', ids, error };
      this.#options.log.warn(
        { machine: batch.machine, ids: ids.length, reason: error.message },
        'the platform refused a message',
      );
      return { result: 'refused', ids };
    }
  }

  #nowConnected(): void {
    if (this.#connected) return;
    this.#connected = true;
    this.#options.log.info({ pending: this.#options.queue.pending }, 'connected');
  }

  async #backOff(failure: unknown, failures: number, waiting: number): Promise<void> {
    const { log, minBackoffMs = 200, maxBackoffMs = 10_000 } = this.#options;
    const waitMs = backoffMs(failure, failures, { minMs: minBackoffMs, maxMs: maxBackoffMs });
    // Told at the first failure and ever more rarely after it, not at each attempt.
    if (Number.isInteger(Math.log2(failures))) {
      const reason = messageOf(failure);
      log.warn({ reason, waiting, waitMs: Math.round(waitMs) }, 'not delivered; messages are kept and sent later');
    }
    this.#connected = false;
    await delay(waitMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
  }
}

interface Outcome {
  readonly result: 'acknowledged' | 'refused' | 'failed';
  readonly ids: readonly string[];
  readonly error?: unknown;
}

function total(counts: ReadonlyMap<string, number>): number {
  let sum = 0;
  for (const count of counts.values()) sum += count;
  return sum;
}
