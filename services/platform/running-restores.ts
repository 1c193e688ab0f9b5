import { existsSync } from 'node:fs';
import { messageOf, PortError } from '#core/errors.ts';
import { swapFolder, restoredFolder, type FolderSwap } from './folder-swap.ts';
import type { PlatformControl, RestoreOutcome } from './platform-control.ts';

/**
 * Restores into the folder of a running platform: takes the request, swaps the folder between two runs, and takes the swap back where the
 * platform does not start on the restored data.
 */
export class RunningRestores implements PlatformControl {
  readonly #folder: string;
  #request: PromiseWithResolvers<void> = Promise.withResolvers();
  #isRequested = false;
  /** Until the platform has started on it. */
  #unproven: FolderSwap | undefined;
  #outcome: RestoreOutcome | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Resolves when a restore is asked for. */
  get requested(): Promise<void> {
    return this.#request.promise;
  }

  async restore(): Promise<void> {
    const waiting = restoredFolder(this.#folder);
    if (this.#isRequested) throw new PortError('failed_precondition', 'a restore is under way');
    if (!existsSync(waiting)) throw new PortError('failed_precondition', `there is no ${waiting} to restore from`);
    this.#isRequested = true;
    this.#outcome = { state: 'under-way' };
    this.#request.resolve();
  }

  async restoreOutcome(): Promise<RestoreOutcome | undefined> {
    return this.#outcome;
  }

  /** The platform has started. */
  runs(url: string): void {
    if (this.#unproven) this.#outcome = { state: 'done', url, aside: this.#unproven.aside };
    this.#unproven = undefined;
  }

  /** Runs the platform; where it does not start on restored data, puts the former back and runs it on that. */
  async proven(run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } catch (error) {
      const swap = this.#unproven;
      if (!swap) throw error;
      this.#unproven = undefined;
      this.#outcome = { state: 'failed', error: messageOf(error), restored: swap.undo() };
      await run();
    }
  }

  /** Between two runs: true where another one is to follow. */
  swapIfRequested(): boolean {
    if (!this.#isRequested) return false;
    this.#isRequested = false;
    this.#request = Promise.withResolvers();
    try {
      this.#unproven = swapFolder(this.#folder, Date.now());
    } catch (error) {
      this.#outcome = { state: 'failed', error: messageOf(error), restored: restoredFolder(this.#folder) };
    }
    return true;
  }
}
