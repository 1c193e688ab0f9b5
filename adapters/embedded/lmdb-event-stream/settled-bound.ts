import type { Clock } from '#core/clock.ts';
import type { GroupFiles } from './group-files.ts';
import type { LogHead } from './log-file.ts';

/** Consumers of other processes save their checkpoints a few times a second. */
const LONGEST_MEMORY_MS = 50;

/**
 * Below which position every declared group has settled everything, as of a little while ago: what retention may let go of.
 *
 * An old answer is as safe as a new one. Checkpoints only rise, and a group that is declared later begins at the head of then, which is
 * why the answer never exceeds the head that was known before the groups were read.
 */
export class SettledBound {
  readonly #groups: GroupFiles;
  readonly #clock: Clock;
  readonly #onFailure: (error: unknown) => void;
  #position = 0;
  #readAtMs = -Infinity;

  /** `onFailure` is told when the groups cannot be read; nothing is let go of then. */
  constructor(groups: GroupFiles, clock: Clock, onFailure: (error: unknown) => void) {
    this.#groups = groups;
    this.#clock = clock;
    this.#onFailure = onFailure;
  }

  /** The position; `isUrgent` where refusing to publish depends on it. */
  below(head: LogHead, isUrgent: boolean): number {
    const nowMs = this.#clock.monotonicMs();
    if (isUrgent || nowMs - this.#readAtMs >= LONGEST_MEMORY_MS) {
      this.#readAtMs = nowMs;
      try {
        this.#position = Math.min(this.#groups.readLowestCheckpoint() ?? Infinity, head.nextPosition);
      } catch (error) {
        this.#onFailure(error);
      }
    }
    return this.#position;
  }
}
