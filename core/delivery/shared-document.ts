import type { Clock } from '../clock.ts';
import { isPortError, type CallOptions } from '../errors.ts';
import type { CheckpointStore } from '../ports/checkpoint-store.ts';

/** A document that meets others' saves is changed again, at most so often. */
const ATTEMPTS = 20;

/** A small JSON document that several processes change, by compare-and-set. `parse` checks what was found. */
export class SharedDocument<Content> {
  readonly #checkpoints: Pick<CheckpointStore, 'load' | 'save'>;
  readonly #name: string;
  readonly #clock: Clock;
  readonly #parse: (text: string) => Content;
  #known:
    { readonly content: Content | undefined; readonly version: number; readonly atMonotonicMs: number } | undefined;
  /** How often something was learned of it. */
  #learned = 0;
  #changing: Promise<unknown> = Promise.resolve();

  constructor(
    checkpoints: Pick<CheckpointStore, 'load' | 'save'>,
    name: string,
    clock: Clock,
    parse = (text: string): Content => JSON.parse(text) as Content,
  ) {
    this.#checkpoints = checkpoints;
    this.#name = name;
    this.#clock = clock;
    this.#parse = parse;
  }

  /** The document as it was no longer ago than that; undefined where there is none. */
  async read(maxAgeMs: number, options?: CallOptions): Promise<Content | undefined> {
    if (this.#known && this.#clock.monotonicMs() - this.#known.atMonotonicMs < maxAgeMs) return this.#known.content;
    return this.#load(options);
  }

  /** Saves what `change` makes of the document, one change at a time; undefined: leaves it. */
  change(change: (found: Content | undefined) => Content | undefined, options?: CallOptions): Promise<void> {
    const changed = this.#changing.then(() => this.#change(change, options));
    this.#changing = changed.catch(() => undefined);
    return changed;
  }

  async #change(change: (found: Content | undefined) => Content | undefined, options?: CallOptions): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      if (!this.#known) await this.#load(options);
      const { content: found, version } = this.#known!;
      const learned = this.#learned;
      const content = change(found);
      if (content === undefined) return;
      try {
        const saved = await this.#checkpoints.save(this.#name, encode(content), version, options);
        this.#remember(content, saved.version, learned);
        return;
      } catch (error) {
        // Another process was first, or an attempt that seemed to fail was not lost.
        this.#known = undefined;
        if (!isPortError(error) || error.code !== 'failed_precondition' || attempt === ATTEMPTS) throw error;
      }
    }
  }

  async #load(options?: CallOptions): Promise<Content | undefined> {
    const learned = this.#learned;
    const found = await this.#checkpoints.load(this.#name, options);
    const content = found && this.#parse(new TextDecoder().decode(found.state));
    this.#remember(content, found?.version ?? 0, learned);
    return content;
  }

  /**
   * What was overtaken, by a newer version that was learned of since it was asked for, is older than what is known. An older version that
   * nothing overtook is no mistake: the document was deleted, or the store was set back.
   */
  #remember(content: Content | undefined, version: number, learnedBefore: number): void {
    if (this.#known && this.#known.version > version && this.#learned !== learnedBefore) return;
    this.#known = { content, version, atMonotonicMs: this.#clock.monotonicMs() };
    this.#learned++;
  }
}

function encode(content: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(content));
}
