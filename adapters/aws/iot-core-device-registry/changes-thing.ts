import { randomUUID } from 'node:crypto';
import type { Thing, ThingAttributes } from './client.ts';

interface ChangesThingCalls {
  readonly read: () => Promise<Thing | undefined>;
  readonly write: (attributes: ThingAttributes) => Promise<void>;
}

/** Tells listeners of changes that this process or another made: a thing carries the mark of the last one, and is looked at while somebody listens. */
export class ChangesThing {
  readonly #pollMs: number;
  readonly #calls: ChangesThingCalls;
  readonly #listeners = new Set<() => void>();
  #timer: NodeJS.Timeout | undefined;
  #seen: string | undefined;

  constructor(pollMs: number, calls: ChangesThingCalls) {
    this.#pollMs = pollMs;
    this.#calls = calls;
  }

  /** Of a change that was made. */
  async tell(): Promise<void> {
    const change = randomUUID();
    try {
      await this.#calls.write({ change });
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
    this.#timer ??= setTimeout(() => void this.#look(), inMs).unref();
  }

  async #look(): Promise<void> {
    try {
      const thing = await this.#calls.read();
      const change = thing?.attributes['change'] ?? '';
      if (this.#seen !== change) this.#tellListeners();
      this.#seen = change;
    } catch {
      // It is looked at again; what the listener does by itself will meet the same error, and tell it.
    }
    this.#timer = undefined;
    if (this.#listeners.size > 0) this.#again(this.#pollMs);
  }

  #tellListeners(): void {
    for (const listener of this.#listeners) listener();
  }
}
