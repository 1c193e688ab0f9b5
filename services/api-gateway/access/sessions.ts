import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '#core/clock.ts';
import { isName, type TenantId } from '#core/domain/ids.ts';
import { isRole, type Role } from '#core/domain/role.ts';
import type { CheckpointStore } from '#core/ports/checkpoint-store.ts';
import type { SecretStore } from '#core/ports/secret-store.ts';
import type { CookieSeal } from './cookie-seal.ts';
import { EndedSessions, type EndedSessionsOptions } from './ended-sessions.ts';
import type { Principal } from './principal.ts';

const contentSchema = z.object({
  id: z.string(),
  subject: z.string(),
  tenant: z.string().refine(isName),
  roles: z.array(z.string()),
  expiresAtMs: z.number(),
  signedInAt: z.string().optional(),
});

interface Content extends Pick<Principal, 'subject' | 'tenant' | 'roles' | 'expiresAtMs'> {
  readonly id: string;
  readonly signedInAt?: string | undefined;
}

/** Of a session that is begun at one of the site's issuers. */
interface SignedIn {
  /** The `signIn.id` of the issuer. */
  readonly at: string;
  /** It lasts no longer than this, and no longer than any. */
  readonly atMostMs: number;
}

/**
 * Sessions of people at the page. The cookie carries its content under a seal, so that any replica can read it. Ended sessions are remembered
 * until they would have expired.
 */
export class Sessions {
  readonly #seal: CookieSeal;
  readonly #clock: Clock;
  readonly #lifetimeMs: number;
  readonly #ended: EndedSessions;

  static async open(
    { secrets, checkpoints }: { readonly secrets: SecretStore; readonly checkpoints: CheckpointStore },
    seal: CookieSeal,
    clock: Clock,
    { lifetimeMs, ...options }: EndedSessionsOptions & { readonly lifetimeMs: number },
  ): Promise<Sessions> {
    const ended = await EndedSessions.open(checkpoints, clock, options);
    await ended.takeOver(secrets);
    return new Sessions(seal, clock, lifetimeMs, ended);
  }

  private constructor(seal: CookieSeal, clock: Clock, lifetimeMs: number, ended: EndedSessions) {
    this.#seal = seal;
    this.#clock = clock;
    this.#lifetimeMs = lifetimeMs;
    this.#ended = ended;
  }

  /** A new session and the value of its cookie. */
  begin(
    subject: string,
    tenant: TenantId,
    roles: readonly Role[],
    signedIn?: SignedIn,
  ): { readonly cookie: string; readonly principal: Principal } {
    const id = randomBytes(16).toString('base64url');
    const expiresAtMs = this.#clock.nowMs() + Math.min(this.#lifetimeMs, signedIn?.atMostMs ?? Infinity);
    const begun = { id, subject, tenant, roles: [...roles], expiresAtMs, ...(signedIn && { signedInAt: signedIn.at }) };
    return { cookie: this.#seal.seal('session', begun), principal: this.#principal(begun) };
  }

  /** Whose session the cookie is; undefined when it is forged, over or ended. */
  read(cookie: string): Principal | undefined {
    const content = this.#seal.unseal('session', cookie);
    if (content === undefined) return undefined;
    const { tenant, roles, ...session } = contentSchema.parse(content);
    if (session.expiresAtMs <= this.#clock.nowMs() || this.#ended.has(session.id)) return undefined;
    return this.#principal({ ...session, tenant: tenant as TenantId, roles: roles.filter(isRole) });
  }

  /** Learns no more of what other copies end. */
  close(): void {
    this.#ended.close();
  }

  /** At once in this process, at other copies within seconds; resolves when a restart does not bring it back either. @throws PortError of the checkpoint store. */
  async end({ sessionId, expiresAtMs }: Principal): Promise<void> {
    if (sessionId !== undefined) await this.#ended.add(sessionId, expiresAtMs);
  }

  /** Whether the token sent in X-CSRF-Token is that of the session. */
  isCsrfToken(principal: Principal, sent: string | undefined): boolean {
    return (
      principal.sessionId !== undefined && sent !== undefined && this.#seal.isMac('csrf', principal.sessionId, sent)
    );
  }

  #principal({ id, subject, tenant, roles, expiresAtMs, signedInAt }: Content): Principal {
    const csrfToken = this.#seal.mac('csrf', id);
    return {
      ...{ kind: 'session', subject, tenant, roles, expiresAtMs, sessionId: id, csrfToken },
      ...(signedInAt !== undefined && { signedInAt }),
    };
  }
}
