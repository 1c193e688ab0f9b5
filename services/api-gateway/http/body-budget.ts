import { HttpProblem } from '../../shared/http/problem.ts';

/** The part of the budget that one tenant may hold while others hold none of it. */
const TENANT_SHARE = 0.5;
const RETRY_AFTER_SECONDS = 1;

/** What one request holds of the budget, until it is disposed of. */
export interface HeldBody extends Disposable {
  /** Takes that many bytes more. @throws HttpProblem overloaded. */
  reserve(bytes: number): void;
}

/**
 * Bounds the bytes of request bodies that are in memory at once: over all requests, and a tenant to its half, so that nobody takes the
 * room of all others. What does not fit is refused at once, and no queue builds up. A body alone is always let in: how large it may be
 * is its route's business.
 */
export class BodyBudget {
  readonly #maxBytes: number;
  readonly #byTenant = new Map<string, number>();
  #heldBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** `tenant` is empty for a request of nobody. */
  hold(tenant: string): HeldBody {
    let own = 0;
    return {
      reserve: (bytes) => {
        this.#requireRoom(bytes, own, tenant);
        own += bytes;
        this.#add(tenant, bytes);
      },
      [Symbol.dispose]: () => {
        this.#add(tenant, -own);
        own = 0;
      },
    };
  }

  #requireRoom(bytes: number, own: number, tenant: string): void {
    const ofTenant = this.#byTenant.get(tenant) ?? 0;
    const tenantBytes = this.#maxBytes * TENANT_SHARE;
    if (this.#heldBytes > own && this.#heldBytes + bytes > this.#maxBytes) throw overloaded('The platform');
    if (ofTenant > own && ofTenant + bytes > tenantBytes) throw overloaded('This tenant');
  }

  #add(tenant: string, bytes: number): void {
    this.#heldBytes += bytes;
    const held = (this.#byTenant.get(tenant) ?? 0) + bytes;
    if (held === 0) this.#byTenant.delete(tenant);
    else this.#byTenant.set(tenant, held);
  }
}

function overloaded(who: string): HttpProblem {
  return new HttpProblem('overloaded', {
    detail: `${who} has as many request bodies under way as fit into memory.`,
    remedy: 'Send it again after the time that Retry-After says, and fewer large requests at once.',
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}
