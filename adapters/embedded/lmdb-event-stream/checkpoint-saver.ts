import type { LogFile } from './log-file.ts';

/** Saves a group's checkpoint while it advances, now and then: it is a hint, and what it lags behind is delivered again after a crash. */
export class CheckpointSaver {
  readonly #file: LogFile;
  readonly #group: string;
  readonly #intervalMs: number;
  #saved: number;
  #wanted: number;
  #timer: NodeJS.Timeout | undefined;
  #saving: Promise<void> = Promise.resolve();

  constructor(file: LogFile, group: string, savedPosition: number, intervalMs: number) {
    this.#file = file;
    this.#group = group;
    this.#intervalMs = intervalMs;
    this.#saved = savedPosition;
    this.#wanted = savedPosition;
  }

  get position(): number {
    return this.#wanted;
  }

  advance(position: number): void {
    this.#wanted = position;
    if (position > this.#saved) this.#timer ??= setTimeout(() => this.#save(), this.#intervalMs);
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
    const position = this.#wanted;
    if (position <= this.#saved) return;
    this.#saving = this.#file.saveCheckpoint(this.#group, position).then(
      () => {
        this.#saved = position;
        this.advance(this.#wanted);
      },
      // A full disk: the checkpoint stays a hint that is behind, and the next interval tries again.
      () => this.advance(this.#wanted),
    );
  }
}
