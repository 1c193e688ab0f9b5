import { randomUUID } from 'node:crypto';

interface PolledChangesCalls {
  /** The mark of the last change, undefined before the first. */
  readonly read: () => Promise<string | undefined>;
  /** Leaves the mark of a change of what has that id. */
  readonly write: (mark: string, id: string) => Promise<void>;
}

/**
 * Tells listeners of changes that this process or another made, where the service has no way to tell: something that is kept there carries the mark
 * of the last change, and is looked at while somebody listens.
 */
export class PolledChanges {
  readonly #pollMs: number;
  readonly #calls: PolledChangesCalls;
  readonly #listeners = new Set<() => void>();
  #timer: NodeJS.Timeout | undefined;
  #isLooking = false;
  #seen: string | undefined;

  constructor(pollMs: number, calls: PolledChangesCalls) {
    this.#pollMs = pollMs;
    this.#calls = calls;
  }

  /** Of a change that was made. */
  async tell(id: string): Promise<void> {
    try {
      await this.#calls.write(randomUUID(), id);
    } finally {
      this.#tellListeners();
    }
  }

  on(listener: () => void): () => void {
    // Each call is a listener of its own, also of the same function.
    const own = () => listener();
    this.#listeners.add(own);
    this.#again(0);
    return () => {
      this.#listeners.delete(own);
      if (this.#listeners.size === 0) this.close();
    };
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#listeners.clear();
  }

  #again(inMs: number): void {
    if (!this.#isLooking) this.#timer ??= setTimeout(() => void this.#look(), inMs).unref();
  }

  async #look(): Promise<void> {
    this.#timer = undefined;
    this.#isLooking = true;
    try {
      const mark = (await this.#calls.read()) ?? '';
      if (this.#seen !== mark) this.#tellListeners();
      this.#seen = mark;
    } catch {
      // It is looked at again; what the listener does by itself will meet the same error, and tell it.
    }
    this.#isLooking = false;
    if (this.#listeners.size > 0) this.#again(this.#pollMs);
  }

  #tellListeners(): void {
    for (const listener of this.#listeners) listener();
  }
}
