import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const PRELOADED = new URL('./shifted-clock.ts', import.meta.url);
/** Longer than the processes take to notice. */
const NOTICED_MS = 200;

/** The wall clock of a platform that was started with {@link env}, as a hand that sets it. */
export class ShiftableClock {
  readonly env: Readonly<Record<string, string>>;
  readonly #path: string;

  constructor(folder: string) {
    this.#path = join(folder, 'clock-shift');
    this.#write(0);
    this.env = { NODE_OPTIONS: `--import=${PRELOADED.href}`, SHIFTED_CLOCK: this.#path };
  }

  /** Sets it so far ahead of the machine's; a negative number sets it back. */
  async set(shiftMs: number): Promise<void> {
    this.#write(shiftMs);
    await sleep(NOTICED_MS);
  }

  #write(shiftMs: number): void {
    writeFileSync(`${this.#path}.new`, String(shiftMs));
    renameSync(`${this.#path}.new`, this.#path);
  }
}
