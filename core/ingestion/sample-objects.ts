import type { Clock } from '../clock.ts';
import { isOfService, messageOf } from '../errors.ts';
import type { ObjectStore } from '../ports/object-store.ts';

/** So long a failure says something of now, where nobody has sent samples since. */
const TOLD_FOR_MS = 60_000;

/** The object store as intake uses it: it is known why samples cannot be kept. */
export class SampleObjects implements ObjectStore {
  readonly #objects: ObjectStore;
  readonly #clock: Clock;
  #failure: { readonly why: string; readonly atMs: number } | undefined;

  constructor(objects: ObjectStore, clock: Clock) {
    this.#objects = objects;
    this.#clock = clock;
  }

  /** Why waveforms are not taken; undefined once samples were kept again, or none were sent for a while. */
  problem(): string | undefined {
    const { why, atMs } = this.#failure ?? {};
    if (atMs === undefined || this.#clock.monotonicMs() - atMs > TOLD_FOR_MS) return undefined;
    return `intake takes no waveforms, as it cannot keep their samples: ${why}`;
  }

  async put(...given: Parameters<ObjectStore['put']>): ReturnType<ObjectStore['put']> {
    try {
      const kept = await this.#objects.put(...given);
      this.#failure = undefined;
      return kept;
    } catch (error) {
      if (isOfService(error)) this.#failure = { why: messageOf(error), atMs: this.#clock.monotonicMs() };
      throw error;
    }
  }

  get(...given: Parameters<ObjectStore['get']>): ReturnType<ObjectStore['get']> {
    return this.#objects.get(...given);
  }

  list(...given: Parameters<ObjectStore['list']>): ReturnType<ObjectStore['list']> {
    return this.#objects.list(...given);
  }

  delete(...given: Parameters<ObjectStore['delete']>): ReturnType<ObjectStore['delete']> {
    return this.#objects.delete(...given);
  }
}
