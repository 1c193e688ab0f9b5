import type { TenantId } from '../domain/ids.ts';
import type { RejectionCode } from './rejection.ts';

/** Why traffic was turned away without an acknowledgement: outside the ledger's sum. */
export type RefusalReason =
  | 'bad-credentials'
  | 'foreign-client-id'
  | 'foreign-machine'
  | 'foreign-topic'
  | 'oversize'
  | 'protocol-error'
  | 'too-many-connections'
  | 'back-pressure';

/** Items since the process started. The three kinds of acknowledged items are disjoint. */
export interface TenantIntakeCounts {
  readonly accepted: number;
  readonly duplicate: number;
  readonly rejected: Readonly<Partial<Record<RejectionCode, number>>>;
  /** Messages or connections, not items: what they held was never looked at. */
  readonly refused: Readonly<Partial<Record<RefusalReason, number>>>;
}

/** What intake counted, by tenant; refusals before anybody authenticated are under {@link NO_TENANT}. */
export class IntakeCounters {
  readonly #tenants = new Map<TenantId | typeof NO_TENANT, TenantCounter>();

  tenant(tenant: TenantId | typeof NO_TENANT): TenantCounter {
    let counter = this.#tenants.get(tenant);
    if (counter === undefined) {
      counter = new TenantCounter();
      this.#tenants.set(tenant, counter);
    }
    return counter;
  }

  snapshot(): ReadonlyMap<TenantId | typeof NO_TENANT, TenantIntakeCounts> {
    return new Map([...this.#tenants].map(([tenant, counter]) => [tenant, counter.snapshot()]));
  }
}

export const NO_TENANT = 'unauthenticated';

export class TenantCounter {
  accepted = 0;
  duplicate = 0;
  readonly #rejected = new Map<RejectionCode, number>();
  readonly #refused = new Map<RefusalReason, number>();

  reject(code: RejectionCode): void {
    this.#rejected.set(code, (this.#rejected.get(code) ?? 0) + 1);
  }

  refuse(reason: RefusalReason): void {
    this.#refused.set(reason, (this.#refused.get(reason) ?? 0) + 1);
  }

  snapshot(): TenantIntakeCounts {
    return {
      accepted: this.accepted,
      duplicate: this.duplicate,
      rejected: Object.fromEntries(this.#rejected),
      refused: Object.fromEntries(this.#refused),
    };
  }
}
