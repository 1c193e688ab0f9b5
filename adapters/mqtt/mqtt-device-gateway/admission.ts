import type { BrokerMessage } from './broker-connection.ts';

/**
 * Handles messages one after another, in the order in which they came. The broker's Receive Maximum bounds how many there are of those that it
 * waits for; the others are bounded here, until they are settled.
 */
export class Admission {
  readonly #maxUnawaited: number;
  readonly #admit: (message: BrokerMessage) => Promise<void>;
  #waiting: BrokerMessage[] = [];
  #unawaited = 0;
  #isBusy = false;

  /** @param admit never rejects; acknowledges each message in the end, also one that the broker does not wait for. */
  constructor(maxUnawaited: number, admit: (message: BrokerMessage) => Promise<void>) {
    this.#maxUnawaited = maxUnawaited;
    this.#admit = admit;
  }

  /** False where it is one too many, which is then nobody's. Of what the broker retains there is one a topic: that is never too many. */
  take(message: BrokerMessage): boolean {
    const isAwaited = message.comesAgain !== undefined || message.isRetained;
    if (!isAwaited && this.#unawaited >= this.#maxUnawaited) return false;
    this.#waiting.push(isAwaited ? message : this.#counted(message));
    if (!this.#isBusy) void this.#run();
    return true;
  }

  /** Lets go of what waits here and comes again. */
  prune(): void {
    this.#waiting = this.#waiting.filter(({ comesAgain }) => comesAgain?.aborted !== true);
  }

  #counted(message: BrokerMessage): BrokerMessage {
    this.#unawaited++;
    const acknowledge = () => {
      this.#unawaited--;
    };
    return { ...message, acknowledge };
  }

  async #run(): Promise<void> {
    this.#isBusy = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) await this.#admit(next);
    this.#isBusy = false;
  }
}
