import type { IncomingMessage, Pull } from './client.ts';

export interface SavedAcksParts {
  /** Saves what the group has settled. */
  readonly save: () => Promise<void>;
  readonly everyMs: number;
  /** Told of saves that failed; they are tried again. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * Acknowledges messages once what their group has settled is saved, some at a time: after a crash they come again and are counted then, while
 * messages that never come again would stay uncounted.
 */
export class SavedAcks {
  readonly #parts: SavedAcksParts;
  #waiting: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #saving: Promise<void> = Promise.resolve();

  constructor(parts: SavedAcksParts) {
    this.#parts = parts;
  }

  /** The message, with an `ack` that waits. */
  hold(message: IncomingMessage): IncomingMessage {
    const { data, attributes } = message;
    return {
      ...{ data, attributes },
      ack: () => {
        this.#waiting.push(() => message.ack());
        this.#timer ??= setTimeout(() => this.#later(), this.#parts.everyMs);
      },
    };
  }

  /** The pull, which acknowledges what waits before it is closed. */
  closing(pull: Pull): Pull {
    return {
      close: async () => {
        clearTimeout(this.#timer);
        this.#timer = undefined;
        await this.#saving;
        await this.#acknowledge().catch(this.#parts.onFailure);
        clearTimeout(this.#timer);
        await pull.close();
      },
    };
  }

  #later(): void {
    this.#timer = undefined;
    this.#saving = this.#acknowledge().catch((error: unknown) => {
      this.#parts.onFailure(error);
      this.#timer ??= setTimeout(() => this.#later(), this.#parts.everyMs);
    });
  }

  async #acknowledge(): Promise<void> {
    const acks = this.#waiting.splice(0);
    try {
      await this.#parts.save();
    } catch (error) {
      this.#waiting = [...acks, ...this.#waiting];
      throw error;
    }
    for (const ack of acks) ack();
  }
}
