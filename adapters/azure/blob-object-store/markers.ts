/** A list of Azure goes on by a marker of its own, not by a key: those of the newest pages, so that the next page need not be sought from the begin. */
export class Markers {
  readonly #kept = new Map<string, string>();
  readonly #most: number;

  constructor(most = 100) {
    this.#most = most;
  }

  /** The marker of what comes after the key in the list of a prefix, where it is kept. */
  at(prefix: string, after: string): string | undefined {
    return this.#kept.get(`${prefix}\n${after}`);
  }

  keep(prefix: string, lastKey: string, marker: string): void {
    this.#kept.set(`${prefix}\n${lastKey}`, marker);
    if (this.#kept.size > this.#most) this.#kept.delete(this.#kept.keys().next().value!);
  }
}
