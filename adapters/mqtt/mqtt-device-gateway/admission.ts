import type { BrokerMessage } from './broker-connection.ts';

export interface AdmissionParts {
  /** How many that the broker does not wait for are taken at a time. */
  readonly maxUnawaited: number;
  /** Whose message it is. */
  readonly senderOf: (message: BrokerMessage) => string;
  /** Never rejects; acknowledges each message in the end, also one that the broker does not wait for. */
  readonly admit: (message: BrokerMessage) => Promise<void>;
}

/**
 * Handles the messages of a device one after another, in the order in which they came; those of others go on meanwhile. The broker's Receive Maximum
 * bounds how many there are of those that it waits for; the others are bounded here, until they are settled.
 */
export class Admission {
  readonly #maxUnawaited: number;
  readonly #senderOf: (message: BrokerMessage) => string;
  readonly #admit: (message: BrokerMessage) => Promise<void>;
  /** Of each device that has a message being admitted: those that wait behind it. */
  readonly #waiting = new Map<string, BrokerMessage[]>();
  #unawaited = 0;

  constructor({ maxUnawaited, senderOf, admit }: AdmissionParts) {
    this.#maxUnawaited = maxUnawaited;
    this.#senderOf = senderOf;
    this.#admit = admit;
  }

  /** False where it is one too many, which is then nobody's. Of what the broker retains there is one a topic: that is never too many. */
  take(message: BrokerMessage): boolean {
    const isAwaited = message.comesAgain !== undefined || message.isRetained;
    if (!isAwaited && this.#unawaited >= this.#maxUnawaited) return false;
    const [sender, taken] = [this.#senderOf(message), isAwaited ? message : this.#counted(message)];
    const waiting = this.#waiting.get(sender);
    if (waiting) waiting.push(taken);
    else {
      this.#waiting.set(sender, []);
      void this.#run(sender, taken);
    }
    return true;
  }

  /** Lets go of what waits here and comes again. */
  prune(): void {
    for (const [sender, waiting] of this.#waiting)
      this.#waiting.set(
        sender,
        waiting.filter(({ comesAgain }) => comesAgain?.aborted !== true),
      );
  }

  #counted(message: BrokerMessage): BrokerMessage {
    this.#unawaited++;
    const acknowledge = () => {
      this.#unawaited--;
    };
    return { ...message, acknowledge };
  }

  async #run(sender: string, first: BrokerMessage): Promise<void> {
    for (let next: BrokerMessage | undefined = first; next !== undefined; next = this.#waiting.get(sender)?.shift())
      await this.#admit(next);
    this.#waiting.delete(sender);
  }
}
