import type { Clock } from '../clock.ts';
import type { CallOptions } from '../errors.ts';

export interface RefreshingCacheOptions {
  /** How long an entry is good for. */
  readonly maxAgeMs: number;
  /** The entry loaded longest ago goes first. */
  readonly maxEntries: number;
}

/** What a port told about a key, absence included, until it is too old or the port says that something changed. */
export class RefreshingCache<Key, Value> {
  readonly #load: (key: Key, options: CallOptions) => Promise<Value>;
  readonly #clock: Clock;
  readonly #options: RefreshingCacheOptions;
  #entries = new Map<Key, { readonly atMs: number; readonly value: Value }>();

  constructor(load: (key: Key, options: CallOptions) => Promise<Value>, clock: Clock, options: RefreshingCacheOptions) {
    this.#load = load;
    this.#clock = clock;
    this.#options = options;
  }

  async get(key: Key, options: CallOptions = {}): Promise<Value> {
    const entries = this.#entries;
    const known = entries.get(key);
    const atMs = this.#clock.monotonicMs();
    if (known && atMs - known.atMs < this.#options.maxAgeMs) return known.value;
    const value = await this.#load(key, options);
    // What was read before a change goes into the entries that the change threw away.
    entries.delete(key);
    if (entries.size >= this.#options.maxEntries) entries.delete(entries.keys().next().value!);
    entries.set(key, { atMs, value });
    return value;
  }

  /** Forgets everything: the source has changed. */
  clear(): void {
    this.#entries = new Map();
  }
}
