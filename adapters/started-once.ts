import { PortError, throwIfAborted, type CallOptions } from '#core/errors.ts';

/**
 * The life of what is started once and closed once. Whoever closes it while it starts ends the start and waits for that, so that nothing which the
 * start opened stays open; a start that fails closes what it had opened.
 */
export class StartedOnce {
  readonly #what: string;
  readonly #end: () => Promise<void>;
  readonly #closing = new AbortController();
  #starting: Promise<void> | undefined;
  #isStarted = false;
  #closed: Promise<void> | undefined;

  /** @param end closes whatever the start has opened, also where it came to nothing. */
  constructor(what: string, end: () => Promise<void>) {
    this.#what = what;
    this.#end = end;
  }

  /** Aborted once it closes. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** @param begin is told to stop when the caller stops waiting, or it closes. */
  async start(begin: (stopped: AbortSignal) => Promise<void>, { signal }: CallOptions): Promise<void> {
    throwIfAborted(signal);
    if (this.#starting || this.closing.aborted)
      throw new PortError('failed_precondition', `${this.#what} is started once`);
    this.#starting = begin(signal ? AbortSignal.any([signal, this.closing]) : this.closing);
    try {
      await this.#starting;
      throwIfAborted(this.closing);
      this.#isStarted = true;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** @throws PortError failed_precondition before it has started, and once it closes. */
  check(): void {
    if (!this.#isStarted || this.closing.aborted)
      throw new PortError('failed_precondition', `${this.#what} is not started`);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    await this.#starting?.catch(() => undefined);
    await this.#end();
  }
}
