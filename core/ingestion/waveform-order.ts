import { PortError } from '../errors.ts';

/** A waveform's place among those of its machine. */
export interface PlaceInOrder {
  /** Runs the task, which appends what `ready` resolves to, once all those before it have run or left, and leaves with that. */
  run<Ready, Result>(ready: Promise<Ready>, task: (ready: Ready) => Result | Promise<Result>): Promise<Result>;
  /** Lets those behind it go on. Idempotent. */
  leave(): void;
  /** It was not kept: those behind it fail with it. */
  fail(): void;
}

/**
 * The order in which a machine's waveforms are appended: that in which they came, however long each takes to be stored. What fails takes those with it that
 * wait behind it, or they would overtake it: who judges a machine passes over what is older than what it has judged.
 */
export class WaveformOrder {
  #tail: Promise<unknown> = Promise.resolve();
  /** Another one after each failure. */
  #unbroken = {};

  /** Takes a place behind all that have one, which is to be left. */
  enter(): PlaceInOrder {
    const unbroken = this.#unbroken;
    const before = this.#tail;
    const { promise: left, resolve } = Promise.withResolvers<undefined>();
    const leave = (): void => resolve(undefined);
    this.#tail = before.then(() => left);
    const fail = (): void => {
      if (unbroken === this.#unbroken) this.breakOff();
    };
    return {
      run: async (ready, task) => {
        ready.catch(() => undefined);
        try {
          await before;
          const result = await ready;
          if (unbroken !== this.#unbroken)
            throw new PortError(
              'unavailable',
              'a waveform of the machine that came before it was not kept: send it again',
            );
          return await task(result);
        } catch (error) {
          fail();
          throw error;
        } finally {
          leave();
        }
      },
      leave,
      fail,
    };
  }

  /** One that was appended did not become durable. */
  breakOff(): void {
    this.#unbroken = {};
  }
}
