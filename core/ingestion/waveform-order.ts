import { PortError } from '../errors.ts';

/**
 * The order in which a machine's waveforms are appended: that in which they came, however long each takes to be stored. What fails takes those with it that
 * wait behind it, or they would overtake it: who judges a machine passes over what is older than what it has judged.
 */
export class WaveformOrder {
  #tail: Promise<unknown> = Promise.resolve();
  /** Another one after each failure. */
  #unbroken = {};

  /** Runs the task, which appends what `ready` resolves to, once all those before it have run. */
  run<Ready, Result>(ready: Promise<Ready>, task: (ready: Ready) => Result | Promise<Result>): Promise<Result> {
    ready.catch(() => undefined);
    const unbroken = this.#unbroken;
    const inTurn = async (): Promise<Result> => {
      try {
        const result = await ready;
        if (unbroken !== this.#unbroken)
          throw new PortError(
            'unavailable',
            'a waveform of the machine that came before it was not kept: send it again',
          );
        return await task(result);
      } catch (error) {
        if (unbroken === this.#unbroken) this.breakOff();
        throw error;
      }
    };
    const result = this.#tail.then(inTurn);
    this.#tail = result.catch(() => undefined);
    return result;
  }

  /** One that was appended did not become durable. */
  breakOff(): void {
    this.#unbroken = {};
  }
}
