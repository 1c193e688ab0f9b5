import type { Clock } from '#core/clock.ts';
import { deliverBatch } from '#core/delivery/deliver-batch.ts';
import { DeliveryWindow, type WindowBatch } from '#core/delivery/delivery-window.ts';
import { SettledBefore } from '#core/delivery/settled-before.ts';
import type { StampedEvent } from '#core/domain/event.ts';
import type { BatchHandler, SubscribeOptions, Subscription } from '#core/ports/event-stream.ts';
import type { IncomingMessage, Pull } from './client.ts';
import { decode } from './envelope.ts';

const DEFAULT_MAX_BATCH_BYTES = 4 * 2 ** 20;

export interface GroupSubscriptionOptions {
  readonly pull: (onMessage: (message: IncomingMessage) => void, onFailure: (error: unknown) => void) => Pull;
  readonly clock: Clock;
  readonly handler: BatchHandler;
  readonly subscribe: SubscribeOptions;
  readonly maxHeldEvents: number;
  readonly maxHeldBytes: number;
  /** Told of what fails in the background; the SDK pulls on. */
  readonly onFailure: (error: unknown) => void;
}

/** An event that is leased and not settled. */
interface Leased {
  readonly event: StampedEvent;
  /** The newest delivery of it: an older one can no longer be acknowledged. */
  message: IncomingMessage;
}

/**
 * Delivers a subscription's messages to one handler. What fails stays leased and is delivered again from here, so that only the later
 * events of its machine wait behind it; the service gets it back when this is closed. Memory is bounded by the pull's flow control.
 */
export class GroupSubscription implements Subscription {
  readonly #options: GroupSubscriptionOptions;
  readonly #abort = new AbortController();
  readonly #window: DeliveryWindow;
  readonly #settledBefore: SettledBefore;
  readonly #leased = new Map<string, Leased>();
  readonly #pull: Pull;
  readonly #done: Promise<void>;
  #inbox: StampedEvent[] = [];
  #nextPosition = 0;
  #wake: () => void = () => undefined;

  constructor(options: GroupSubscriptionOptions) {
    this.#options = options;
    const { subscribe, maxHeldEvents, maxHeldBytes } = options;
    this.#window = new DeliveryWindow({
      ...{ maxHeldEvents, maxHeldBytes, maxBatchEvents: subscribe.maxBatchEvents },
      maxBatchBytes: subscribe.maxBatchBytes ?? DEFAULT_MAX_BATCH_BYTES,
    });
    this.#window.addLane(0);
    this.#settledBefore = new SettledBefore(subscribe.resumeAfter);
    this.#pull = options.pull((message) => this.#take(message), options.onFailure);
    this.#done = this.#run();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    this.#wake();
    await this.#done;
    await this.#pull.close();
  }

  get #isClosing(): boolean {
    return this.#abort.signal.aborted;
  }

  #take(message: IncomingMessage): void {
    if (this.#isClosing) return;
    let event: StampedEvent;
    try {
      event = decode(message);
    } catch (error) {
      // It stays leased, until the service moves it to the dead letters or its retention ends.
      this.#options.onFailure(error);
      return;
    }
    if (this.#settledBefore.covers(event)) {
      message.ack();
      return;
    }
    const known = this.#leased.get(idOf(event));
    if (known) {
      known.message = message;
      return;
    }
    this.#leased.set(idOf(event), { event, message });
    this.#inbox.push(event);
    this.#wake();
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    while (!this.#isClosing) {
      const batch = this.#window.takeDue(clock.monotonicMs()) ?? this.#readAhead();
      if (batch) {
        await this.#deliver(batch);
        // The event loop gets its turn after each batch: messages come in by it.
        await new Promise((resolve) => setImmediate(resolve));
        continue;
      }
      const dueMs = this.#window.nextDueMs;
      await this.#sleep(dueMs === undefined ? undefined : dueMs - clock.monotonicMs());
    }
  }

  #readAhead(): WindowBatch | undefined {
    let taken = 0;
    while (taken < this.#inbox.length && this.#window.mayReadAhead) {
      const event = this.#inbox[taken]!;
      if (!this.#window.hasRoomFor(event.payload.byteLength)) break;
      this.#window.accept(0, this.#nextPosition++, event);
      taken++;
    }
    this.#inbox.splice(0, taken);
    return this.#window.takeFresh();
  }

  #deliver(batch: WindowBatch): Promise<void> {
    const { clock, handler } = this.#options;
    return deliverBatch(batch, {
      ...{ window: this.#window, handler, clock, signal: this.#abort.signal },
      onSettled: (failed) => this.#acknowledge(batch, new Set(failed)),
    });
  }

  #acknowledge(batch: WindowBatch, failed: ReadonlySet<number>): void {
    batch.events.forEach((event, index) => {
      if (failed.has(index)) return;
      this.#leased.get(idOf(event))?.message.ack();
      this.#leased.delete(idOf(event));
    });
  }

  /** Sleeps until woken, or so long. */
  async #sleep(ms: number | undefined): Promise<void> {
    if (this.#isClosing || (ms !== undefined && ms <= 0)) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (ms !== undefined) timer = setTimeout(resolve, Math.ceil(ms));
    });
    clearTimeout(timer);
    this.#wake = () => undefined;
  }
}

function idOf({ source, epoch, seq }: StampedEvent): string {
  return `${source} ${epoch} ${seq}`;
}
