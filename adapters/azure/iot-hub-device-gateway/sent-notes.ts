import { createHash } from 'node:crypto';
import type { Clock } from '#core/clock.ts';
import type { CallOptions } from '#core/errors.ts';
import type { DeviceCommand } from '#core/ports/device-gateway.ts';
import type { LeaseBlobs } from '../event-hubs-event-stream/lease-blobs.ts';

export interface SentNotesParts {
  readonly blobs: Pick<LeaseBlobs, 'list' | 'put' | 'delete'>;
  /** The event hub that the gateway reads: its blobs have the name before theirs. */
  readonly eventHub: string;
  readonly clock: Clock;
  readonly onProblem: (what: string, error: unknown) => void;
}

const SWEEP_MS = 3_600_000;
const EXPIRES_AT = 'expiresatms';

/**
 * Which commands the hub has, a blob each until the command expires, for the gateways beside this one and after it. Blobs that are away hold up
 * no command: then one may be sent again.
 */
export class SentNotes {
  readonly #parts: SentNotesParts;
  readonly #prefix: string;
  readonly #closing = new AbortController();
  #sweptAtMs = -Infinity;
  #sweeping: Promise<void> = Promise.resolve();

  constructor(parts: SentNotesParts) {
    this.#parts = parts;
    this.#prefix = `${parts.eventHub}/commands/`;
  }

  async has(to: string, { id }: DeviceCommand, { signal }: CallOptions): Promise<boolean> {
    const { blobs, clock, onProblem } = this.#parts;
    const name = this.#nameOf(to, id);
    try {
      const [note] = await blobs.list(name, signal);
      if (note === undefined) return false;
      if (Number(note.metadata[EXPIRES_AT]) > clock.nowMs()) return true;
      await blobs.delete(name, signal);
    } catch (error) {
      if (signal?.aborted) throw error;
      onProblem(`looking whether the command ${id} was sent before`, error);
    }
    return false;
  }

  /** Of a command that the hub has. */
  async add(to: string, { id, expiresAtMs }: DeviceCommand): Promise<void> {
    const { blobs, onProblem } = this.#parts;
    try {
      await blobs.put(this.#nameOf(to, id), { [EXPIRES_AT]: String(expiresAtMs) }, { ifNoneMatch: '*' });
    } catch (error) {
      onProblem(`noting that the command ${id} was sent`, error);
    }
    this.#sweepNowAndThen();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#sweeping;
  }

  #sweepNowAndThen(): void {
    const nowMs = this.#parts.clock.monotonicMs();
    if (nowMs - this.#sweptAtMs < SWEEP_MS) return;
    this.#sweptAtMs = nowMs;
    const { signal } = this.#closing;
    this.#sweeping = this.#sweep(signal).catch((error: unknown) => {
      if (!signal.aborted) this.#parts.onProblem('forgetting commands that have expired', error);
    });
  }

  async #sweep(signal: AbortSignal): Promise<void> {
    const { blobs, clock } = this.#parts;
    for (const { name, metadata } of await blobs.list(this.#prefix, signal))
      if (Number(metadata[EXPIRES_AT]) <= clock.nowMs()) await blobs.delete(name, signal);
  }

  #nameOf(to: string, id: string): string {
    return `${this.#prefix}${createHash('sha256')
      .update(JSON.stringify([to, id]))
      .digest('hex')}`;
  }
}
