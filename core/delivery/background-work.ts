import { Sleeper } from './sleeper.ts';

const RESTART_MS = 1000;

/** Work that goes on until it is closed: what ends it early is told, and it is begun again after a while. */
export class BackgroundWork {
  readonly #closing = new AbortController();
  readonly #onFailure: (error: unknown) => void;
  readonly #done: Promise<void>;
  /** Nothing that wakes the work shortens the wait for its next beginning. */
  readonly #restart = new Sleeper();
  /** For the work to sleep by: closing wakes it. */
  readonly sleeper = new Sleeper();

  constructor(work: () => Promise<void>, onFailure: (error: unknown) => void) {
    this.#onFailure = onFailure;
    this.#done = this.#run(work);
  }

  /** Aborted once it is being closed. */
  get signal(): AbortSignal {
    return this.#closing.signal;
  }

  get isClosing(): boolean {
    return this.#closing.signal.aborted;
  }

  /** Resolves when the work has ended. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.sleeper.wake();
    this.#restart.wake();
    await this.#done;
  }

  async #run(work: () => Promise<void>): Promise<void> {
    // Whoever begins the work has hold of it before it starts.
    await Promise.resolve();
    while (!this.isClosing) await work().catch((error: unknown) => this.#failed(error));
  }

  async #failed(error: unknown): Promise<void> {
    this.#onFailure(error);
    if (!this.isClosing) await this.#restart.sleep(RESTART_MS);
  }
}
