import { setTimeout as delay } from 'node:timers/promises';
import { isRetryable } from '#core/errors.ts';
import { intakeKindOf } from '#core/ingestion/back-pressure.ts';
import type { DeviceIntake, DeviceMessage } from '#core/ports/device-gateway.ts';
import { waitFor } from '../../wait-for.ts';

export interface OrderedOffersParts {
  readonly intake: DeviceIntake;
  /** What intake refused for the moment is offered again after this, or when intake is ready. */
  readonly offerAgainMs: number;
  /** Aborted once the gateway closes: what is refused then is not offered again. */
  readonly closing: AbortSignal;
  /** Told of a refusal that does not say that it will pass. */
  readonly onProblem: (what: string, error: unknown) => void;
}

interface Offer {
  /** Counted as they come. */
  readonly number: number;
  readonly message: DeviceMessage;
  readonly comesAgain: AbortSignal | undefined;
  readonly settle: (isDurable: boolean) => void;
}

/** The messages of one machine and kind. */
interface Lane {
  /** Of those that were offered and not answered. */
  atIntake: number;
  /** Why one of them was refused; while it is known no further one is offered. */
  refusal: { readonly error: unknown } | undefined;
  /** Those that were refused, and what came after the first refusal. */
  readonly waiting: Offer[];
}

/** An error that does not say that it will pass may need somebody to set it right. */
const STUBBORN_REFUSAL_MS = 5000;

/**
 * Offers messages to intake, those of a machine and kind in the order in which they came: the broker has acknowledged them, so that a device sends
 * its next one although intake may still refuse the one before. Once it does, the next ones wait until it is offered again, together with them.
 */
export class OrderedOffers {
  readonly #parts: OrderedOffersParts;
  readonly #lanes = new Map<string, Lane>();
  #atIntake = 0;
  #offers = 0;

  constructor(parts: OrderedOffersParts) {
    this.#parts = parts;
  }

  /** Messages that intake has neither accepted nor refused. */
  get atIntake(): number {
    return this.#atIntake;
  }

  /**
   * Resolves to true once the message is durable, and to false where nobody waits for that any more: it comes again by another connection
   * (`comesAgain` is aborted), or was refused and the gateway closes.
   */
  offer(message: DeviceMessage, comesAgain: AbortSignal | undefined): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const name = `${message.machine} ${intakeKindOf(message.content)}`;
    const lane = this.#lanes.get(name) ?? { atIntake: 0, refusal: undefined, waiting: [] };
    this.#lanes.set(name, lane);
    const offer = { number: ++this.#offers, message, comesAgain, settle: resolve };
    if (lane.refusal) lane.waiting.push(offer);
    else void this.#offer(name, lane, offer);
    return promise;
  }

  async #offer(name: string, lane: Lane, offer: Offer): Promise<void> {
    lane.atIntake++;
    this.#atIntake++;
    try {
      await this.#parts.intake.accept(offer.message);
      offer.settle(true);
    } catch (error) {
      lane.refusal ??= { error };
      lane.waiting.push(offer);
    }
    lane.atIntake--;
    this.#atIntake--;
    if (lane.atIntake > 0) return;
    if (lane.refusal) await this.#offerAgain(name, lane, lane.refusal.error);
    else this.#lanes.delete(name);
  }

  async #offerAgain(name: string, lane: Lane, refusal: unknown): Promise<void> {
    lane.waiting.sort((left, right) => left.number - right.number);
    await this.#pause(lane.waiting[0]!, refusal);
    lane.refusal = undefined;
    const isOver = this.#parts.closing.aborted;
    // In one turn: with one that intake refuses it refuses those behind it.
    for (const each of lane.waiting.splice(0))
      if (isOver || each.comesAgain?.aborted === true) each.settle(false);
      else void this.#offer(name, lane, each);
    if (lane.atIntake === 0) this.#lanes.delete(name);
  }

  /** Until the refused one may be offered again, or nobody waits for it. */
  async #pause({ message, comesAgain }: Offer, refusal: unknown): Promise<void> {
    const { intake, offerAgainMs, closing, onProblem } = this.#parts;
    const isPassing = isRetryable(refusal);
    if (!isPassing) onProblem(`taking a message of ${message.sender}`, refusal);
    const kind = intakeKindOf(message.content);
    const over = AbortSignal.any([closing, ...(comesAgain ? [comesAgain] : [])]);
    try {
      if (intake.isReady(kind))
        await delay(isPassing ? offerAgainMs : STUBBORN_REFUSAL_MS, undefined, { signal: over });
      await waitFor(intake.whenReady(kind), over);
    } catch (error) {
      if (!over.aborted) throw error;
    }
  }
}
