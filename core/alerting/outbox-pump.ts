import type { Clock } from '../clock.ts';
import { publishAll } from '../derivation/publish-all.ts';
import { codeOf, isOfService, messageOf } from '../errors.ts';
import type { EventStream } from '../ports/event-stream.ts';
import {
  isAlarmNotice,
  STREAM_DESTINATION,
  type AlarmNotice,
  type AlarmOutbox,
  type OutboxMessage,
} from '../ports/alarm-journal.ts';
import type { Notifier } from '../ports/notifier.ts';
import { alarmEvent } from './alarm-events.ts';

export interface OutboxPumpOptions {
  readonly outbox: AlarmOutbox;
  readonly clock: Clock;
  /** How often to look without being woken: for what is due again, and for what other processes recorded unheard. Default 1 s. */
  readonly pollMs?: number;
  readonly onProblem: (doing: string, error: unknown) => void;
}

export interface OutboxPump {
  /** Something was recorded: look now. */
  wake(): void;
  /** Why messages do not get through now; undefined while they do. */
  problem(): string | undefined;
  /** Finishes the message under way. What is left waits in the outbox for the next start. */
  close(): Promise<void>;
}

/** Delivers some messages, oldest first, and settles each. */
type Deliver = (messages: readonly OutboxMessage[], signal: AbortSignal) => Promise<void>;

const BATCH = 200;
const DEFAULT_POLL_MS = 1000;
const CLOCK_TOLERANCE_MS = 1000;

/** Publishes the journal's messages on the stream `alarms`, in order, each until it is durable there. */
export function pumpToStream(stream: EventStream, options: OutboxPumpOptions): OutboxPump {
  const { outbox } = options;
  return new Pump(STREAM_DESTINATION, options, async (messages, signal) => {
    await publishAll(stream, 'alarms', messages.filter(tellsOfAlarm).map(alarmEvent), { signal });
    await outbox.markDelivered(messages.map((message) => message.id));
  });
}

function tellsOfAlarm(message: OutboxMessage): message is OutboxMessage<AlarmNotice> {
  return isAlarmNotice(message.notice);
}

export interface NotifyOptions extends OutboxPumpOptions {
  /** Attempts in all before a message is dead. Default 8: about ten minutes. */
  readonly maxAttempts?: number;
  readonly firstDelayMs?: number;
  readonly longestDelayMs?: number;
  /** 0 to 1, so that many senders do not come back together; replaced in tests. */
  readonly random?: () => number;
}

const DEFAULT_MAX_ATTEMPTS = 8;
const DEFAULT_FIRST_DELAY_MS = 2000;
const DEFAULT_LONGEST_DELAY_MS = 300_000;

/**
 * Sends the journal's messages by a notifier: at least once, with a stable id. What may pass is tried again with growing delays, while later
 * messages go ahead; what will not, or has been tried often enough, becomes a dead message that waits for somebody.
 */
export function pumpToNotifier(notifier: Notifier, options: NotifyOptions): OutboxPump {
  const { outbox, clock, onProblem } = options;
  const { firstDelayMs = DEFAULT_FIRST_DELAY_MS, longestDelayMs = DEFAULT_LONGEST_DELAY_MS } = options;
  const { maxAttempts = DEFAULT_MAX_ATTEMPTS, random = Math.random } = options;
  const send = async (message: OutboxMessage, signal: AbortSignal): Promise<void> => {
    try {
      await notifier.send({ id: message.id, notice: message.notice }, { signal });
    } catch (error) {
      if (signal.aborted) throw error;
      onProblem(`notify by ${notifier.name}`, error);
      const isLast = !isOfService(error) || message.attempts + 1 >= maxAttempts;
      const delayMs = Math.min(longestDelayMs, firstDelayMs * 2 ** message.attempts) * (0.5 + random() / 2);
      await outbox.markFailed(message.id, {
        code: codeOf(error),
        detail: messageOf(error),
        ...(!isLast && { dueAtMs: Math.ceil(clock.nowMs() + delayMs) }),
      });
      return;
    }
    await outbox.markDelivered([message.id]);
  };
  return new Pump(notifier.name, { ...options, longestDelayMs }, async (messages, signal) => {
    for (const message of messages) await send(message, signal);
  });
}

class Pump implements OutboxPump {
  readonly #destination: string;
  readonly #options: OutboxPumpOptions;
  readonly #longestDelayMs: number;
  readonly #deliver: Deliver;
  readonly #stopping = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #running: Promise<void> | undefined;
  #wanted = false;
  #problem: string | undefined;

  constructor(
    destination: string,
    options: OutboxPumpOptions & { readonly longestDelayMs?: number },
    deliver: Deliver,
  ) {
    this.#destination = destination;
    this.#options = options;
    this.#longestDelayMs = (options.longestDelayMs ?? 0) + CLOCK_TOLERANCE_MS;
    this.#deliver = deliver;
    this.#timer = setInterval(() => this.wake(), options.pollMs ?? DEFAULT_POLL_MS);
    this.#timer.unref();
    this.wake();
  }

  wake(): void {
    if (this.#stopping.signal.aborted) return;
    this.#wanted = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      // Woken after the last look; after a failure the timer looks again.
      if (this.#wanted && this.#problem === undefined) this.wake();
    });
  }

  problem(): string | undefined {
    return this.#problem;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    try {
      while (this.#wanted && !signal.aborted) {
        this.#wanted = false;
        const messages = await this.#options.outbox.pendingMessages({
          destination: this.#destination,
          nowMs: this.#options.clock.nowMs(),
          longestDelayMs: this.#longestDelayMs,
          limit: BATCH,
        });
        if (messages.length === 0) continue;
        await this.#deliver(messages, signal);
        if (messages.length === BATCH) this.#wanted = true;
      }
      this.#problem = undefined;
    } catch (error) {
      if (signal.aborted) return;
      this.#problem = messageOf(error);
      this.#options.onProblem(`deliver to ${this.#destination}`, error);
    }
  }
}
