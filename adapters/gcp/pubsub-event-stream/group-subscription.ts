import type { Clock } from '#core/clock.ts';
import { deliverWindow } from '#core/delivery/deliver-window.ts';
import { DeliveryWindow, type DeliveryLimits, type WindowBatch } from '#core/delivery/delivery-window.ts';
import { SettledBefore } from '#core/delivery/settled-before.ts';
import { Sleeper } from '#core/delivery/sleeper.ts';
import type { StampedEvent } from '#core/domain/event.ts';
import type { BatchHandler, Progress, Subscription } from '#core/ports/event-stream.ts';
import type { IncomingMessage, Pull } from './client.ts';
import { decode } from './envelope.ts';

export interface GroupSubscriptionOptions {
  readonly pull: (onMessage: (message: IncomingMessage) => void, onFailure: (error: unknown) => void) => Pull;
  readonly clock: Clock;
  readonly handler: BatchHandler;
  readonly limits: DeliveryLimits;
  readonly resumeAfter: readonly Progress[] | undefined;
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
  readonly #sleeper = new Sleeper();
  readonly #window: DeliveryWindow;
  readonly #settledBefore: SettledBefore;
  readonly #leased = new Map<string, Leased>();
  readonly #pull: Pull;
  readonly #done: Promise<void>;
  #inbox: StampedEvent[] = [];
  #nextPosition = 0;

  constructor(options: GroupSubscriptionOptions) {
    this.#options = options;
    this.#window = new DeliveryWindow(options.limits);
    this.#window.addLane(0);
    this.#settledBefore = new SettledBefore(options.resumeAfter);
    this.#pull = options.pull((message) => this.#take(message), options.onFailure);
    this.#done = this.#run();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    this.#sleeper.wake();
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
    this.#sleeper.wake();
  }

  #run(): Promise<void> {
    const { clock, handler } = this.#options;
    return deliverWindow({
      ...{ window: this.#window, handler, clock, signal: this.#abort.signal, sleeper: this.#sleeper },
      isOver: () => this.#isClosing,
      readAhead: () => this.#readAhead(),
      hasMore: () => this.#inbox.length > 0,
      onProgress: (batch, failed) => batch && this.#acknowledge(batch, new Set(failed)),
    });
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

  #acknowledge(batch: WindowBatch, failed: ReadonlySet<number>): void {
    batch.events.forEach((event, index) => {
      if (failed.has(index)) return;
      this.#leased.get(idOf(event))?.message.ack();
      this.#leased.delete(idOf(event));
    });
  }
}

function idOf({ source, epoch, seq }: StampedEvent): string {
  return `${source} ${epoch} ${seq}`;
}
