import { hash } from 'node:crypto';
import type { Clock } from '#core/clock.ts';
import { MAX_AUDIT_SUMMARY, type AuditTrail } from '#core/ports/audit-trail.ts';
import { problemOf } from '../../shared/http/problem.ts';
import type { Principal } from '../access/principal.ts';
import type { Call, Reply } from '../http/route.ts';
import type { GatewayServices } from '../services.ts';
import type { AuditedChange } from './audited-changes.ts';

export interface AuditorOptions {
  /** How long an entry is kept. */
  readonly keepMs: number;
  readonly onProblem: (what: string, error: unknown) => void;
}

/**
 * Has each change in the audit trail before it is made: what cannot be recorded is not done. What became of it follows; where that fails the
 * change stays, as an entry without an outcome.
 */
export class Auditor {
  readonly #trail: AuditTrail;
  readonly #clock: Clock;
  readonly #options: AuditorOptions;
  #forgetting: NodeJS.Timeout | undefined;

  constructor(trail: AuditTrail, clock: Clock, options: AuditorOptions) {
    this.#trail = trail;
    this.#clock = clock;
    this.#options = options;
  }

  /** Forgets what is too old, now and every hour. */
  async start(): Promise<void> {
    await this.#forget();
    this.#forgetting = setInterval(() => void this.#forget(), FORGET_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#forgetting);
  }

  /** Makes the change and records it. Nobody is signed in before a sign-in: that is recorded before its answer is given. */
  async record(
    change: AuditedChange,
    call: Call,
    principal: Principal | undefined,
    services: GatewayServices,
    work: () => Promise<Reply>,
  ): Promise<Reply> {
    if (!principal) return this.#recordSignIn(change, await work());
    const state = async () => change.state?.(call, services);
    const id = await this.#begin(change, principal, change.target(call), await state());
    let reply: Reply;
    try {
      reply = await work();
    } catch (error) {
      const { type: reason, status } = problemOf(error);
      await this.#finish(id, { outcome: status < SERVER_ERROR ? 'refused' : 'unknown', reason });
      throw error;
    }
    await this.#finish(id, async () => ({ outcome: 'done', ...after(resultOf(change, reply) ?? (await state())) }));
    return reply;
  }

  async #recordSignIn(change: AuditedChange, reply: Reply): Promise<Reply> {
    const { signedIn } = reply;
    if (!signedIn) return reply;
    const { subject, roles, expiresAtMs: expiresMs } = signedIn;
    const id = await this.#begin(change, signedIn, subject, undefined);
    await this.#finish(id, { outcome: 'done', ...after({ roles, expiresMs }) });
    return reply;
  }

  async #begin(
    { action }: AuditedChange,
    { tenant, subject }: Pick<Principal, 'tenant' | 'subject'>,
    target: string,
    before: object | undefined,
  ): Promise<number> {
    const told = before && { before: summaryOf(before) };
    return this.#trail.begin({ tenant, atMs: this.#clock.nowMs(), actor: subject, action, target, ...told });
  }

  /** The change was made or refused by now: what fails here must not tell the caller otherwise. */
  async #finish(id: number, result: Result | (() => Promise<Result>)): Promise<void> {
    try {
      await this.#trail.finish(id, typeof result === 'function' ? await result() : result);
    } catch (error) {
      this.#options.onProblem(`recording the outcome of audit entry ${id}`, error);
    }
  }

  async #forget(): Promise<void> {
    await this.#trail
      .forget(this.#clock.nowMs() - this.#options.keepMs)
      .catch((error: unknown) => this.#options.onProblem('forgetting old audit entries', error));
  }
}

type Result = Parameters<AuditTrail['finish']>[1];

const FORGET_EVERY_MS = 3_600_000;
/** From this status on it is not the request that was at fault. */
const SERVER_ERROR = 500;

function resultOf({ result }: AuditedChange, reply: Reply): object | undefined {
  return result && 'json' in reply ? result(reply.json as never) : undefined;
}

function after(summary: object | undefined): { readonly after?: string } {
  return summary ? { after: summaryOf(summary) } : {};
}

/** As JSON, or its digest where that is long: a device may be bound to very many machines. */
function summaryOf(summary: object): string {
  const json = JSON.stringify(summary);
  if (json.length <= MAX_AUDIT_SUMMARY) return json;
  return JSON.stringify({ sha256: hash('sha256', json, 'hex').slice(0, 32), characters: json.length });
}
