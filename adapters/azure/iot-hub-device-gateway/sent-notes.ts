import { createHash } from 'node:crypto';
import type { Clock } from '#core/clock.ts';
import { PortError, type CallOptions } from '#core/errors.ts';
import type { DeviceCommand } from '#core/ports/device-gateway.ts';
import { cloudCall } from '../../cloud-call.ts';
import { waitFor } from '../../wait-for.ts';
import { codeOfAzureError } from '../azure-errors.ts';
import type { LeaseBlobs, MetadataBlob } from '../event-hubs-event-stream/lease-blobs.ts';

export interface SentNotesParts {
  readonly blobs: Pick<LeaseBlobs, 'list' | 'listPage' | 'put' | 'delete'>;
  /** The event hub that the gateway reads: its blobs have the name before theirs. */
  readonly eventHub: string;
  readonly clock: Clock;
  readonly onProblem: (what: string, error: unknown) => void;
}

/** A command waits for its note no longer than this. */
const LOOK_WITHIN_MS = 2_000;
const CLOSE_WITHIN_MS = 2_000;
const MAX_UNDER_WAY = 1_000;
const SWEEP_MS = 3_600_000;
/** After a sweep that came to no end. */
const SWEEP_AGAIN_MS = 60_000;
const SWEEP_PAGE = 1_000;
const EXPIRES_AT = 'expiresatms';

/**
 * Which commands the hub has, a blob each until the command expires, for the gateways beside this one and after it. Blobs that are away, or do not
 * answer, hold up no command for long: then one may be sent again.
 */
export class SentNotes {
  readonly #parts: SentNotesParts;
  readonly #prefix: string;
  readonly #closing = new AbortController();
  /** Aborted once it closes and notes under way have had their time. */
  readonly #overdue = new AbortController();
  readonly #underWay = new Set<Promise<void>>();
  #sweepAtMs = -Infinity;
  #sweeping: Promise<void> | undefined;

  constructor(parts: SentNotesParts) {
    this.#parts = parts;
    this.#prefix = `${parts.eventHub}/commands/`;
  }

  /**
   * Undefined, and told, where blobs do not say. They have two seconds, and half of the time that the command has left at most, so that it does not
   * expire of the question.
   */
  async has(to: string, { id, expiresAtMs }: DeviceCommand, { signal }: CallOptions): Promise<boolean | undefined> {
    const { clock, onProblem } = this.#parts;
    const what = `looking whether the command ${id} was sent before`;
    const leftMs = Math.max(0, expiresAtMs - clock.nowMs());
    const timeoutMs = Math.min(LOOK_WITHIN_MS, Math.floor(leftMs / 2));
    try {
      return await cloudCall({ what, timeoutMs, signal }, codeOfAzureError, (stopped) =>
        waitFor(this.#look(this.#nameOf(to, id), stopped), stopped),
      );
    } catch (error) {
      if (signal?.aborted) throw error;
      onProblem(what, error);
      return undefined;
    }
  }

  /** Of a command that the hub has. It is written by itself; {@link close} waits for it. */
  add(to: string, command: DeviceCommand): void {
    const adding = this.#write(to, command).finally(() => this.#underWay.delete(adding));
    this.#underWay.add(adding);
  }

  /** Waits for notes that are being written, for two seconds at most. */
  async close(): Promise<void> {
    this.#closing.abort();
    const overdue = setTimeout(() => this.#overdue.abort(), CLOSE_WITHIN_MS);
    await Promise.all([...this.#underWay, this.#sweeping]);
    clearTimeout(overdue);
  }

  async #look(name: string, signal: AbortSignal): Promise<boolean> {
    const { blobs, clock } = this.#parts;
    const [note] = await blobs.list(name, signal);
    if (note === undefined) return false;
    if (Number(note.metadata[EXPIRES_AT]) > clock.nowMs()) return true;
    await blobs.delete(name, signal);
    return false;
  }

  async #write(to: string, { id, expiresAtMs }: DeviceCommand): Promise<void> {
    const { blobs, onProblem } = this.#parts;
    const { signal } = this.#overdue;
    try {
      if (this.#underWay.size >= MAX_UNDER_WAY)
        throw new PortError('resource_exhausted', `${MAX_UNDER_WAY} others are being noted`);
      const note = { [EXPIRES_AT]: String(expiresAtMs) };
      await waitFor(blobs.put(this.#nameOf(to, id), note, { ifNoneMatch: '*' }, signal), signal);
    } catch (error) {
      onProblem(`noting that the command ${id} was sent`, error);
    }
    this.#sweepNowAndThen();
  }

  #sweepNowAndThen(): void {
    const { clock, onProblem } = this.#parts;
    const { signal } = this.#closing;
    if (signal.aborted || this.#sweeping !== undefined || clock.monotonicMs() < this.#sweepAtMs) return;
    this.#sweepAtMs = clock.monotonicMs() + SWEEP_MS;
    this.#sweeping = this.#sweep(signal)
      .catch((error: unknown) => {
        if (signal.aborted) return;
        this.#sweepAtMs = clock.monotonicMs() + SWEEP_AGAIN_MS;
        onProblem('forgetting commands that have expired', error);
      })
      .finally(() => (this.#sweeping = undefined));
  }

  /** A page at a time, as there may be a day's commands. What cannot be deleted is told once, and left to the next sweep. */
  async #sweep(signal: AbortSignal): Promise<void> {
    const { blobs, onProblem } = this.#parts;
    const left = { notes: 0, because: undefined as unknown };
    let after: string | undefined;
    do {
      const query = { prefix: this.#prefix, limit: SWEEP_PAGE, after };
      const page = await waitFor(blobs.listPage(query, signal), signal);
      for (const note of page.blobs)
        await this.#forgetExpired(note, signal).catch((error: unknown) => {
          left.notes++;
          left.because ??= error;
        });
      after = page.next;
    } while (after !== undefined && !signal.aborted);
    if (left.notes > 0 && !signal.aborted)
      onProblem(`forgetting ${left.notes} commands that have expired`, left.because);
  }

  /** Not one whose time it does not know: that is nobody's note. */
  async #forgetExpired({ name, metadata }: MetadataBlob, signal: AbortSignal): Promise<void> {
    const { blobs, clock } = this.#parts;
    if (Number(metadata[EXPIRES_AT]) <= clock.nowMs()) await waitFor(blobs.delete(name, signal), signal);
  }

  #nameOf(to: string, id: string): string {
    return `${this.#prefix}${createHash('sha256')
      .update(JSON.stringify([to, id]))
      .digest('hex')}`;
  }
}
