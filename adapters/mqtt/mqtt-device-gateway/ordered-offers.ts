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
  readonly message: DeviceMessage;
  readonly comesAgain: AbortSignal | undefined;
  readonly settle: (isDurable: boolean) => void;
}

/** An error that does not say that it will pass may need somebody to set it right. */
const STUBBORN_REFUSAL_MS = 5000;

/**
 * Offers messages to intake, those of a machine and kind in the order in which they came: the broker has acknowledged them, so that a device sends
 * its next one although intake may still refuse the one before. While some are at intake the next ones wait, and are then offered together.
 */
export class OrderedOffers {
  readonly #parts: OrderedOffersParts;
  /** Of each machine and kind that has messages at intake, or refused ones: those that are to be offered next. */
  readonly #waiting = new Map<string, Offer[]>();
  #atIntake = 0;

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
    const lane = `${message.machine} ${intakeKindOf(message.content)}`;
    const offer = { message, comesAgain, settle: resolve };
    const waiting = this.#waiting.get(lane);
    if (waiting) waiting.push(offer);
    else void this.#run(lane, [offer]);
    return promise;
  }

  async #run(lane: string, waiting: Offer[]): Promise<void> {
    this.#waiting.set(lane, waiting);
    while (waiting.length > 0) {
      const refusal = await this.#offerAll(waiting.splice(0), waiting);
      if (refusal) await this.#pause(waiting[0]!, refusal.error);
      const isOver = refusal !== undefined && this.#parts.closing.aborted;
      for (const each of waiting.splice(0))
        if (isOver || each.comesAgain?.aborted === true) each.settle(false);
        else waiting.push(each);
    }
    this.#waiting.delete(lane);
  }

  /** In one turn, so that with one that intake refuses it refuses those behind it. Puts back what was refused, and says why the first was. */
  async #offerAll(offers: readonly Offer[], waiting: Offer[]): Promise<{ readonly error: unknown } | undefined> {
    this.#atIntake += offers.length;
    const outcomes = await Promise.allSettled(offers.map(({ message }) => this.#parts.intake.accept(message)));
    this.#atIntake -= offers.length;
    const refused = offers.filter((_offer, at) => outcomes[at]!.status === 'rejected');
    for (const each of offers) if (!refused.includes(each)) each.settle(true);
    waiting.unshift(...refused);
    const first = outcomes.find((outcome) => outcome.status === 'rejected');
    return first && { error: first.reason as unknown };
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
