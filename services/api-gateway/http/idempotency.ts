import { createHash } from 'node:crypto';
import type { Clock } from '#core/clock.ts';
import { HttpProblem } from '../../shared/http/problem.ts';
import type { Principal } from '../access/principal.ts';
import type { Reply } from './route.ts';

const KEY = /^[\x21-\x7e]{1,128}$/;

interface Remembered {
  readonly fingerprint: string;
  readonly expiresAtMs: number;
  /** Absent while the first request is being worked on. */
  reply: Reply | undefined;
}

/**
 * Answers a repeated write with the answer to the first, within a bound of time and number. Kept in memory: over a restart, alarm actions
 * are still idempotent by the journal, telemetry by its event ids, and conditional writes by their version.
 */
export class IdempotencyStore {
  readonly #clock: Clock;
  readonly #maxEntries: number;
  readonly #lifetimeMs: number;
  readonly #remembered = new Map<string, Remembered>();

  constructor(clock: Clock, { maxEntries = 10_000, lifetimeMs = 86_400_000 } = {}) {
    this.#clock = clock;
    this.#maxEntries = maxEntries;
    this.#lifetimeMs = lifetimeMs;
  }

  /** @throws HttpProblem when the key is no key, is in use, or was used for another request. */
  async once(
    request: {
      readonly key: string;
      readonly principal: Principal;
      readonly target: string;
      readonly body: Uint8Array;
    },
    work: () => Promise<Reply>,
  ): Promise<Reply> {
    const { key, principal, target, body } = request;
    if (!KEY.test(key))
      throw keyProblem('invalid-request', 'Idempotency-Key must be 1 to 128 printable ASCII characters.');
    const entryKey = `${principal.tenant}/${principal.subject}/${key}`;
    const fingerprint = createHash('sha256').update(target).update('\n').update(body).digest('base64');
    const known = this.#remembered.get(entryKey);
    if (known && known.expiresAtMs > this.#clock.nowMs()) return answerAgain(known, fingerprint);

    const entry: Remembered = { fingerprint, expiresAtMs: this.#clock.nowMs() + this.#lifetimeMs, reply: undefined };
    this.#remember(entryKey, entry);
    try {
      return (entry.reply = await work());
    } catch (error) {
      // Nothing is known to have been done: the same key may try again.
      if (this.#remembered.get(entryKey) === entry) this.#remembered.delete(entryKey);
      throw error;
    }
  }

  #remember(entryKey: string, entry: Remembered): void {
    this.#remembered.delete(entryKey);
    this.#remembered.set(entryKey, entry);
    for (const oldest of this.#remembered.keys()) {
      if (this.#remembered.size <= this.#maxEntries) break;
      this.#remembered.delete(oldest);
    }
  }
}

function answerAgain({ fingerprint, reply }: Remembered, sent: string): Reply {
  if (fingerprint !== sent) {
    throw keyProblem('idempotency-key-reused', 'This Idempotency-Key was sent with another request before.');
  }
  if (!reply) throw keyProblem('idempotency-key-in-progress', 'The first request with this key is not done yet.');
  return { ...reply, headers: { ...reply.headers, 'idempotency-replayed': 'true' } };
}

function keyProblem(
  type: 'invalid-request' | 'idempotency-key-reused' | 'idempotency-key-in-progress',
  detail: string,
) {
  return new HttpProblem(type, {
    detail,
    pointer: 'header:idempotency-key',
    remedy: 'Make a new key (such as a UUID) for each new request, and repeat it only with the same request.',
  });
}
