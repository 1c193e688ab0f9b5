import type { CallOptions } from '../errors.ts';
import type { TenantId } from '../domain/ids.ts';

/**
 * Who changed what, and when: written before each change and once more after it, and never changed again. A change whose process ended in
 * the middle is an entry without an outcome. No entry holds a secret: that is its writer's duty.
 */
export interface AuditTrail {
  /**
   * Resolves with the entry's id once it is durable; the change may be made then, and not before. Ids rise and are never used twice.
   * @throws PortError resource_exhausted (the disk is full), unavailable: then the change must not be made.
   */
  begin(attempt: AuditAttempt, options?: CallOptions): Promise<number>;
  /** Adds, once and durably, what became of it. @throws PortError not_found, failed_precondition where that is known already. */
  finish(id: number, result: AuditResult, options?: CallOptions): Promise<void>;
  /** The tenant's entries, newest first. */
  list(query: AuditQuery, options?: CallOptions): Promise<readonly AuditEntry[]>;
  /** Forgets, of all tenants, what began before `beforeMs`, and the oldest of more than the trail's bound; how many that were. */
  forget(beforeMs: number, options?: CallOptions): Promise<number>;
  /** Waits for what is under way. Idempotent. */
  close(): Promise<void>;
}

/** A change that is about to be made. */
export interface AuditAttempt {
  readonly tenant: TenantId;
  /** Milliseconds since 1970. */
  readonly atMs: number;
  /** Who makes it: a person, or the name of an API client's token. */
  readonly actor: string;
  /** What kind of thing and what is done to it, such as `device.disable`. */
  readonly action: string;
  /** Which one, such as `press-7`. */
  readonly target: string;
  /** JSON of what the target is like now, or of its digest; at most {@link MAX_AUDIT_SUMMARY} characters. */
  readonly before?: string;
}

/** What became of a change. */
export interface AuditResult {
  /** `refused`: nothing was changed, `reason` says why; `done`: it was; `unknown`: what failed, as `reason` says, may have come after the change. */
  readonly outcome: 'done' | 'refused' | 'unknown';
  readonly reason?: string;
  /** As `before`. */
  readonly after?: string;
}

/** One entry; without `outcome` the change is being made, or its process ended before that was known. */
export interface AuditEntry extends AuditAttempt, Partial<AuditResult> {
  readonly id: number;
}

/** Entries of a tenant that fit all that is given; `fromMs` <= time < `toMs`, ids strictly below `before`; `limit` is 1 to 10,000. */
export interface AuditQuery {
  readonly tenant: TenantId;
  readonly actor?: string;
  readonly action?: string;
  readonly target?: string;
  readonly fromMs?: number;
  readonly toMs?: number;
  readonly before?: number;
  readonly limit: number;
}

/** Characters of a summary. */
export const MAX_AUDIT_SUMMARY = 4096;
