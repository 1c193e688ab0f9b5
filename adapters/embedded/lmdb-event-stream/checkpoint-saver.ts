import type { GroupFiles } from './group-files.ts';

export interface CheckpointSaverOptions {
  readonly groups: GroupFiles;
  readonly group: string;
  readonly savedPosition: number;
  readonly intervalMs: number;
  /** Told of the first failure in a row. */
  readonly onFailure: (error: unknown) => void;
}

/** Saves a group's checkpoint while it advances, now and then: it is a hint, and what it lags behind is delivered again after a crash. */
export class CheckpointSaver {
  readonly #groups: GroupFiles;
  readonly #group: string;
  readonly #intervalMs: number;
  readonly #onFailure: (error: unknown) => void;
  #saved: number;
  #wanted: number;
  #isClosed = false;
  #timer: NodeJS.Timeout | undefined;
  #saving: Promise<void> | undefined;
  #isFailing = false;

  constructor({ groups, group, savedPosition, intervalMs, onFailure }: CheckpointSaverOptions) {
    this.#groups = groups;
    this.#group = group;
    this.#intervalMs = intervalMs;
    this.#onFailure = onFailure;
    this.#saved = savedPosition;
    this.#wanted = savedPosition;
  }

  get position(): number {
    return this.#wanted;
  }

  advance(position: number): void {
    this.#wanted = position;
    if (position <= this.#saved || this.#timer || this.#saving) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#saving = this.#save().finally(() => {
        this.#saving = undefined;
        if (!this.#isClosed) this.advance(this.#wanted);
      });
    }, this.#intervalMs);
  }

  /** Saves what is not yet saved, and ends. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#saving;
    if (this.#wanted > this.#saved) await this.#save();
  }

  async #save(): Promise<void> {
    const position = this.#wanted;
    try {
      await this.#groups.saveCheckpoint(this.#group, position);
      this.#saved = position;
      this.#isFailing = false;
    } catch (error) {
      // A full disk: the checkpoint stays a hint that is behind, and the next interval tries again.
      if (!this.#isFailing) this.#onFailure(error);
      this.#isFailing = true;
    }
  }
}
