import type { GroupFiles, GroupPositions } from './group-file.ts';

/** Saves a group's checkpoint while it advances, now and then: it is a hint, and what it lags behind is delivered again after a crash. */
export class CheckpointSaver {
  readonly #groups: GroupFiles;
  readonly #group: string;
  readonly #intervalMs: number;
  readonly #positions: () => GroupPositions;
  #isDirty = false;
  #timer: NodeJS.Timeout | undefined;
  #saving: Promise<void> = Promise.resolve();

  /** `positions` is asked for the newest checkpoint when it is saved. */
  constructor(groups: GroupFiles, group: string, intervalMs: number, positions: () => GroupPositions) {
    this.#groups = groups;
    this.#group = group;
    this.#intervalMs = intervalMs;
    this.#positions = positions;
  }

  /** The checkpoint has moved. */
  touch(): void {
    this.#isDirty = true;
    this.#timer ??= setTimeout(() => this.#save(), this.#intervalMs);
  }

  /** Saves what is not yet saved, and ends. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#saving;
    this.#save();
    await this.#saving;
    clearTimeout(this.#timer);
  }

  #save(): void {
    this.#timer = undefined;
    if (!this.#isDirty) return;
    this.#isDirty = false;
    this.#saving = this.#groups.save(this.#group, this.#positions()).catch(() => {
      // A full disk: the checkpoint stays a hint that is behind, and the next interval tries again.
      this.touch();
    });
  }
}
