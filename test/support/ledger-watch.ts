import { setTimeout as sleep } from 'node:timers/promises';
import type { LedgerView } from '#services/api-gateway/schemas/ledger.ts';
import type { PlatformProcess } from './platform-process.ts';

/** What was seen of the ledger and the memory while something went on. */
export interface Observations {
  /** How often the ledger was read. */
  readonly readings: number;
  /** How often it said that it could not be read, or nobody answered. */
  readonly unreadable: number;
  /** The newest reason why. */
  readonly whyUnreadable: string | undefined;
  /** Readings whose sum was not exact, or where something acknowledged had gone again: the first of them. */
  readonly wrong: readonly LedgerView[];
  readonly peakPending: number;
  /** Longest wait for an answer, whichever it was. */
  readonly slowestMs: number;
  /** Highest anonymous memory of the platform's processes together. */
  readonly peakBytes: number;
}

const EVERY_MS = 150;
const PATIENCE_MS = 60_000;
const WRONG_KEPT = 3;

/** Reads the ledger again and again during a fault: the sum has to hold at all times, and not only afterwards. */
export class LedgerWatch implements AsyncDisposable {
  readonly #platform: PlatformProcess;
  readonly #wrong: LedgerView[] = [];
  readonly #loop: Promise<void>;
  #stopped = false;
  #readings = 0;
  #unreadable = 0;
  #whyUnreadable: string | undefined;
  #accepted = 0;
  #peakPending = 0;
  #slowestMs = 0;
  #peakBytes = 0;

  constructor(platform: PlatformProcess) {
    this.#platform = platform;
    this.#loop = this.#watch();
  }

  async stop(): Promise<Observations> {
    this.#stopped = true;
    await this.#loop;
    return {
      readings: this.#readings,
      unreadable: this.#unreadable,
      whyUnreadable: this.#whyUnreadable,
      wrong: this.#wrong,
      peakPending: this.#peakPending,
      slowestMs: Math.round(this.#slowestMs),
      peakBytes: this.#peakBytes,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #watch(): Promise<void> {
    while (!this.#stopped) {
      const began = performance.now();
      try {
        this.#see(await this.#read());
      } catch (error) {
        this.#unreadable += 1;
        this.#whyUnreadable = String(error);
      }
      this.#slowestMs = Math.max(this.#slowestMs, performance.now() - began);
      this.#peakBytes = Math.max(this.#peakBytes, this.#platform.anonymousBytes());
      await sleep(EVERY_MS);
    }
  }

  async #read(): Promise<LedgerView> {
    const { url, token } = this.#platform.api;
    const response = await fetch(new URL('/v1/ledger', url), {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`the ledger answered ${response.status}: ${text}`);
    return JSON.parse(text) as LedgerView;
  }

  #see(ledger: LedgerView): void {
    const { accepted, stored, duplicate, rejected, deadLettered, pending, exact } = ledger;
    this.#readings += 1;
    this.#peakPending = Math.max(this.#peakPending, pending);
    const isRight =
      exact && accepted === stored + duplicate + rejected + deadLettered + pending && accepted >= this.#accepted;
    this.#accepted = Math.max(this.#accepted, accepted);
    if (!isRight && this.#wrong.length < WRONG_KEPT) this.#wrong.push(ledger);
  }
}
