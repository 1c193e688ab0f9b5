import type { Clock } from '#core/clock.ts';
import { isPortError } from '#core/errors.ts';
import type { DeviceCommand } from '#core/ports/device-gateway.ts';

/** Remembers commands until they expire, as a broker or a hub tells none from another: the same one is not sent twice. Bounded; the oldest are forgotten first. */
export class SentCommands {
  readonly #sent = new Map<string, { readonly expiresAtMs: number; readonly sending: Promise<void> }>();
  readonly #max: number;
  readonly #clock: Clock;

  constructor(max: number, clock: Clock) {
    this.#max = max;
    this.#clock = clock;
  }

  /** Sends the command, unless that was done or is being done; one that failed may be sent again. */
  async once(to: string, command: DeviceCommand, send: () => Promise<void>): Promise<void> {
    const { id, expiresAtMs } = command;
    const key = `${to} ${id}`;
    const before = this.#sent.get(key);
    if (before !== undefined && before.expiresAtMs > this.#clock.nowMs()) {
      try {
        await before.sending;
        return;
      } catch (error) {
        if (!isPortError(error) || error.code !== 'cancelled') throw error;
        // Whoever began it gave it up, and we did not.
        return this.once(to, command, send);
      }
    }
    const sending = send();
    this.#sent.set(key, { expiresAtMs, sending });
    this.#bound();
    try {
      await sending;
    } catch (error) {
      this.#sent.delete(key);
      throw error;
    }
  }

  #bound(): void {
    if (this.#sent.size <= this.#max) return;
    const nowMs = this.#clock.nowMs();
    for (const [key, { expiresAtMs }] of this.#sent) if (expiresAtMs <= nowMs) this.#sent.delete(key);
    for (const key of this.#sent.keys()) {
      if (this.#sent.size <= this.#max) break;
      this.#sent.delete(key);
    }
  }
}
