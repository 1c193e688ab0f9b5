import type { Positions } from './client.ts';

export interface ProgressCommitterOptions {
  readonly intervalMs: number;
  readonly commit: (positions: Positions) => Promise<void>;
  readonly onFailure: (error: unknown) => void;
}

/** Commits a group's progress at most once an interval, and one commit at a time; what it cannot commit is tried again with the next. */
export class ProgressCommitter {
  readonly #options: ProgressCommitterOptions;
  readonly #pending = new Map<number, bigint>();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: ProgressCommitterOptions) {
    this.#options = options;
  }

  advance(positions: Positions): void {
    for (const [partition, position] of positions) this.#pending.set(partition, position);
    if (this.#pending.size > 0) this.#timer ??= setTimeout(() => this.#begin(), this.#options.intervalMs);
  }

  /** Commits what is left, where that is still this member's to do. */
  async close({ commits }: { readonly commits: boolean }): Promise<void> {
    clearTimeout(this.#timer);
    await this.#running;
    if (commits) await this.#commit();
  }

  #begin(): void {
    this.#running = this.#commit().then(() => {
      this.#timer = undefined;
      this.advance(new Map());
    });
  }

  async #commit(): Promise<void> {
    if (this.#pending.size === 0) return;
    const positions = new Map(this.#pending);
    this.#pending.clear();
    try {
      await this.#options.commit(positions);
    } catch (error) {
      for (const [partition, position] of positions)
        if (!this.#pending.has(partition)) this.#pending.set(partition, position);
      this.#options.onFailure(error);
    }
  }
}
