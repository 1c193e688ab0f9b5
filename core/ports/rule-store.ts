import type { CallOptions } from '../errors.ts';
import type { RuleId, TenantId } from '../domain/ids.ts';
import type { Rule, VersionedRule } from '../domain/rule.ts';

/** Rules as versioned data, changed while everything runs. Each change is kept in the rule's history with who made it. */
export interface RuleStore {
  /** The tenants' current rules, disabled ones included, in order of tenant and id; of all tenants when none is given. */
  list(query: RuleListQuery, options?: CallOptions): Promise<readonly VersionedRule[]>;
  /** The rule in its current version, or undefined where there is none or it was deleted. */
  get(tenant: TenantId, id: RuleId, options?: CallOptions): Promise<VersionedRule | undefined>;

  /**
   * Saves the rule as its next version, durably. `expectedVersion` makes it conditional (an ETag): 0 means that there must be no such
   * rule now; absent means whatever there is. A deleted rule that is written again goes on from its last version.
   * @throws PortError failed_precondition when another version is current, invalid_argument for a rule that its schema refuses.
   */
  put(
    tenant: TenantId,
    rule: Rule,
    change: { readonly by: string; readonly expectedVersion?: number },
    options?: CallOptions,
  ): Promise<VersionedRule>;

  /** @throws PortError not_found, or failed_precondition when another version is current. */
  delete(
    tenant: TenantId,
    id: RuleId,
    change: { readonly by: string; readonly expectedVersion?: number },
    options?: CallOptions,
  ): Promise<void>;

  /**
   * Every version that ever was, newest first, strictly older than `before`; a deletion is an entry without a rule, with a version of its own.
   * `limit` is 1 to 10,000.
   */
  history(
    tenant: TenantId,
    id: RuleId,
    page: { readonly before?: number; readonly limit: number },
    options?: CallOptions,
  ): Promise<readonly RuleHistoryEntry[]>;

  /** Calls back, soon and at least once, after rules changed here or in another process; returns how to stop. */
  onChange(listener: () => void): () => void;

  /** Waits for what is under way. Idempotent. */
  close(): Promise<void>;
}

/** Rules of one tenant, or of all. */
export interface RuleListQuery {
  readonly tenant?: TenantId;
  /** The last rule of the page before. */
  readonly after?: { readonly tenant: TenantId; readonly id: RuleId };
  /** 1 to 10,000. */
  readonly limit: number;
}

/** One change of a rule; `version` is the one it made, its time in milliseconds since 1970. */
export interface RuleHistoryEntry {
  readonly version: number;
  readonly atMs: number;
  readonly by: string;
  /** Absent where the rule was deleted. */
  readonly rule?: Rule;
}
