import type { Clock } from '#core/clock.ts';
import { PortError } from '#core/errors.ts';
import { lacksMemory } from './runtime-module.ts';

/** So many in succession are no longer a moment in which others had the memory. */
const REFUSALS_UNTIL_UNFIT = 3;
const FIRST_REST_MS = 60_000;
const LONGEST_REST_MS = 3_600_000;
const MAX_REMEMBERED = 1024;

interface Refusals {
  readonly count: number;
  /** The fewest that there was no memory for. */
  readonly vectors: number;
  readonly restsUntilMs: number;
}

/** What is asked of the runtime. */
interface MemoryUse {
  /** SHA-256 of the model's artifact. */
  readonly sha256: string;
  /** For the message: `load this model`. */
  readonly what: string;
  /** 0 where none are scored. */
  readonly vectors: number;
}

/**
 * Tells a model that this runtime has no memory for now from one that never fits. The former is worth another try, for which a caller waits, and all
 * that it does wait with it. The latter must hold up nobody, and be tried seldom: the runtime does not get back what a model had taken that failed.
 */
export class MemoryRefusals {
  readonly #clock: Clock;
  /** By model, the longest unchanged first. */
  readonly #ofModel = new Map<string, Refusals>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Makes one attempt, and throws what it throws but for want of memory.
   * @throws PortError resource_exhausted (no memory for now), failed_precondition (none so often that it is not tried for a while, with as many vectors).
   */
  async attempt<Result>(use: MemoryUse, run: () => Promise<Result>): Promise<Result> {
    const before = this.#ofModel.get(use.sha256);
    const isNoSmaller = before !== undefined && use.vectors >= before.vectors;
    if (isNoSmaller && this.#clock.monotonicMs() < before.restsUntilMs) throw refusal(use, before);
    try {
      const result = await run();
      if (isNoSmaller) this.#ofModel.delete(use.sha256);
      return result;
    } catch (error) {
      if (!lacksMemory(error)) throw error;
      throw refusal(use, this.#refused(use, before), error);
    }
  }

  /** Attempts that were under way together are refused in one moment: they count as one. */
  #refused({ sha256, vectors }: MemoryUse, before: Refusals | undefined): Refusals {
    const known = this.#ofModel.get(sha256);
    const count = known === before ? (known?.count ?? 0) + 1 : (known?.count ?? 1);
    const refusals = {
      ...{ count, vectors: Math.min(vectors, known?.vectors ?? Infinity) },
      restsUntilMs: count < REFUSALS_UNTIL_UNFIT ? 0 : this.#clock.monotonicMs() + restMs(count),
    };
    this.#ofModel.delete(sha256);
    this.#ofModel.set(sha256, refusals);
    if (this.#ofModel.size > MAX_REMEMBERED) this.#ofModel.delete(this.#ofModel.keys().next().value!);
    return refusals;
  }
}

function restMs(count: number): number {
  return Math.min(FIRST_REST_MS * 2 ** (count - REFUSALS_UNTIL_UNFIT), LONGEST_REST_MS);
}

function refusal({ what }: MemoryUse, { count }: Refusals, cause?: unknown): PortError {
  const options = cause === undefined ? {} : { cause };
  if (count < REFUSALS_UNTIL_UNFIT) {
    const detail = `the model runtime has no memory to ${what}: try again, with fewer models loaded or smaller ones`;
    return new PortError('resource_exhausted', detail, options);
  }
  const often = `${count} times in succession, and rests for ${restMs(count) / 60_000} min`;
  const detail = `the model runtime had no memory to ${what} ${often}: make the model smaller, or load fewer`;
  return new PortError('failed_precondition', detail, options);
}
