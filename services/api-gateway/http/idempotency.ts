import { createHash } from 'node:crypto';
import type { Clock } from '#core/clock.ts';
import { HttpProblem } from '../../shared/http/problem.ts';
import type { Principal } from '../access/principal.ts';
import type { Reply } from './route.ts';

const KEY = /^[\x21-\x7e]{1,128}$/;

/** What an entry takes besides its key and its reply, roughly. */
const ENTRY_BYTES = 512;

interface Remembered {
  readonly fingerprint: string;
  readonly expiresAtMs: number;
  bytes: number;
  /** Absent while the first request is being worked on. */
  reply: Reply | undefined;
}

interface OfTenant {
  readonly entries: Map<string, Remembered>;
  bytes: number;
}

/**
 * Answers a repeated write with the answer to the first, within a bound of time, and of number and bytes for each tenant and for all
 * together; the oldest is forgotten first, and above the bound for all that of the tenant with the most. Kept in memory: over a restart,
 * alarm actions are still idempotent by the journal, and conditional writes by their version. Telemetry is not kept here at all: it is
 * idempotent by its event ids.
 */
export class IdempotencyStore {
  readonly #clock: Clock;
  readonly #maxEntriesPerTenant: number;
  readonly #maxBytesPerTenant: number;
  readonly #maxBytes: number;
  readonly #lifetimeMs: number;
  readonly #byTenant = new Map<string, OfTenant>();
  #bytes = 0;

  constructor(
    clock: Clock,
    {
      maxEntriesPerTenant = 10_000,
      maxBytesPerTenant = 16 * 2 ** 20,
      maxBytes = 64 * 2 ** 20,
      lifetimeMs = 86_400_000,
    } = {},
  ) {
    this.#clock = clock;
    this.#maxEntriesPerTenant = maxEntriesPerTenant;
    this.#maxBytesPerTenant = maxBytesPerTenant;
    this.#maxBytes = maxBytes;
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
    const { tenant } = principal;
    const entryKey = `${principal.subject}/${key}`;
    const fingerprint = createHash('sha256').update(target).update('\n').update(body).digest('base64');
    const known = this.#byTenant.get(tenant)?.entries.get(entryKey);
    if (known && known.expiresAtMs > this.#clock.nowMs()) return answerAgain(known, fingerprint);

    this.#forget(tenant, entryKey);
    const expiresAtMs = this.#clock.nowMs() + this.#lifetimeMs;
    const entry: Remembered = { fingerprint, expiresAtMs, bytes: 0, reply: undefined };
    this.#ofTenant(tenant).entries.set(entryKey, entry);
    this.#grow(tenant, entry, ENTRY_BYTES + 2 * entryKey.length);
    try {
      const reply = await work();
      entry.reply = reply;
      if (this.#byTenant.get(tenant)?.entries.get(entryKey) === entry) this.#grow(tenant, entry, bytesOf(reply));
      return reply;
    } catch (error) {
      // Nothing is known to have been done: the same key may try again.
      if (this.#byTenant.get(tenant)?.entries.get(entryKey) === entry) this.#forget(tenant, entryKey);
      throw error;
    }
  }

  #ofTenant(tenant: string): OfTenant {
    const known = this.#byTenant.get(tenant);
    if (known) return known;
    const made: OfTenant = { entries: new Map(), bytes: 0 };
    this.#byTenant.set(tenant, made);
    return made;
  }

  #grow(tenant: string, entry: Remembered, bytes: number): void {
    const own = this.#ofTenant(tenant);
    entry.bytes += bytes;
    own.bytes += bytes;
    this.#bytes += bytes;
    while (own.entries.size > this.#maxEntriesPerTenant || own.bytes > this.#maxBytesPerTenant) {
      this.#forgetOldest(tenant, own);
    }
    while (this.#bytes > this.#maxBytes) this.#forgetOldest(...this.#largest());
  }

  #largest(): [string, OfTenant] {
    return [...this.#byTenant].reduce((most, each) => (each[1].bytes > most[1].bytes ? each : most));
  }

  #forgetOldest(tenant: string, { entries }: OfTenant): void {
    const [oldest] = entries.keys();
    if (oldest !== undefined) this.#forget(tenant, oldest);
  }

  #forget(tenant: string, entryKey: string): void {
    const own = this.#byTenant.get(tenant);
    const entry = own?.entries.get(entryKey);
    if (!own || !entry) return;
    own.entries.delete(entryKey);
    own.bytes -= entry.bytes;
    this.#bytes -= entry.bytes;
    if (own.entries.size === 0) this.#byTenant.delete(tenant);
  }
}

/** Two bytes a character, as strings are kept at the most. */
function bytesOf(reply: Reply): number {
  if ('json' in reply) return 2 * JSON.stringify(reply.json).length;
  if ('bytes' in reply) return typeof reply.bytes === 'string' ? 2 * reply.bytes.length : reply.bytes.byteLength;
  return 0;
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
