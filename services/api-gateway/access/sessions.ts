import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '#core/clock.ts';
import { isName, type TenantId } from '#core/domain/ids.ts';
import { isRole, type Role } from '#core/domain/role.ts';
import type { CheckpointStore } from '#core/ports/checkpoint-store.ts';
import type { SecretStore } from '#core/ports/secret-store.ts';
import { EndedSessions } from './ended-sessions.ts';
import type { Principal } from './principal.ts';

const KEY_SECRET = 'api-gateway.session-key';

const contentSchema = z.object({
  id: z.string(),
  subject: z.string(),
  tenant: z.string().refine(isName),
  roles: z.array(z.string()),
  expiresAtMs: z.number(),
});

/**
 * Sessions of people at the page. The cookie carries its content, signed with a key from the secret store, so that a session outlives a
 * restart and any replica can read it. Ended sessions are remembered until they would have expired.
 */
export class Sessions {
  readonly #key: Buffer;
  readonly #clock: Clock;
  readonly #lifetimeMs: number;
  readonly #ended: EndedSessions;

  static async open(
    { secrets, checkpoints }: { readonly secrets: SecretStore; readonly checkpoints: CheckpointStore },
    clock: Clock,
    lifetimeMs: number,
  ): Promise<Sessions> {
    let key = await secrets.get(KEY_SECRET);
    if (key === undefined) {
      key = randomBytes(32).toString('base64url');
      await secrets.put(KEY_SECRET, key);
    }
    const ended = await EndedSessions.open(checkpoints, clock);
    await ended.takeOver(secrets);
    return new Sessions(Buffer.from(key, 'base64url'), clock, lifetimeMs, ended);
  }

  private constructor(key: Buffer, clock: Clock, lifetimeMs: number, ended: EndedSessions) {
    this.#key = key;
    this.#clock = clock;
    this.#lifetimeMs = lifetimeMs;
    this.#ended = ended;
  }

  /** A new session and the value of its cookie. */
  begin(
    subject: string,
    tenant: TenantId,
    roles: readonly Role[],
  ): { readonly cookie: string; readonly principal: Principal } {
    const id = randomBytes(16).toString('base64url');
    const expiresAtMs = this.#clock.nowMs() + this.#lifetimeMs;
    const content = Buffer.from(JSON.stringify({ id, subject, tenant, roles, expiresAtMs })).toString('base64url');
    const cookie = `${content}.${this.#mac('session', content).toString('base64url')}`;
    return { cookie, principal: this.#principal(id, subject, tenant, roles, expiresAtMs) };
  }

  /** Whose session the cookie is; undefined when it is forged, over or ended. */
  read(cookie: string): Principal | undefined {
    const [content, mac, rest] = cookie.split('.', 3);
    if (content === undefined || mac === undefined || rest !== undefined || !this.#isMac('session', content, mac))
      return undefined;
    const { id, subject, tenant, roles, expiresAtMs } = contentSchema.parse(
      JSON.parse(Buffer.from(content, 'base64url').toString('utf8')),
    );
    if (expiresAtMs <= this.#clock.nowMs() || this.#ended.has(id)) return undefined;
    return this.#principal(id, subject, tenant as TenantId, roles.filter(isRole), expiresAtMs);
  }

  /** At once in this process; resolves when a restart does not bring it back either. @throws PortError of the checkpoint store. */
  async end({ sessionId, expiresAtMs }: Principal): Promise<void> {
    if (sessionId !== undefined) await this.#ended.add(sessionId, expiresAtMs);
  }

  /** Whether the token sent in X-CSRF-Token is that of the session. */
  isCsrfToken(principal: Principal, sent: string | undefined): boolean {
    return principal.sessionId !== undefined && sent !== undefined && this.#isMac('csrf', principal.sessionId, sent);
  }

  #principal(id: string, subject: string, tenant: TenantId, roles: readonly Role[], expiresAtMs: number): Principal {
    const csrfToken = this.#mac('csrf', id).toString('base64url');
    return { kind: 'session', subject, tenant, roles, expiresAtMs, sessionId: id, csrfToken };
  }

  #mac(purpose: 'session' | 'csrf', text: string): Buffer {
    return createHmac('sha256', this.#key).update(`${purpose}:${text}`).digest();
  }

  #isMac(purpose: 'session' | 'csrf', text: string, sent: string): boolean {
    const expected = this.#mac(purpose, text);
    const given = Buffer.from(sent, 'base64url');
    return given.length === expected.length && timingSafeEqual(given, expected);
  }
}
