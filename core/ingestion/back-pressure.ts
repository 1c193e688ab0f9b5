/** Why intake takes no more for the moment. */
export type PressureReason = 'starting' | 'stopping' | 'append-failing' | 'in-flight' | 'lag';

/** A gate that is open while no reason holds it shut. Whoever feeds intake waits at it; nothing is queued behind it. */
export class BackPressure {
  readonly #reasons = new Set<PressureReason>();
  #opened: PromiseWithResolvers<void> | undefined;

  get ready(): boolean {
    return this.#reasons.size === 0;
  }

  /** For health checks and refusals. */
  get reasons(): readonly PressureReason[] {
    return [...this.#reasons];
  }

  whenReady(): Promise<void> {
    if (this.ready) return Promise.resolve();
    this.#opened ??= Promise.withResolvers();
    return this.#opened.promise;
  }

  set(reason: PressureReason, holds: boolean): void {
    if (holds) this.#reasons.add(reason);
    else if (this.#reasons.delete(reason) && this.ready) {
      this.#opened?.resolve();
      this.#opened = undefined;
    }
  }
}
