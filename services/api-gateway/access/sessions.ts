import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '#core/clock.ts';
import { isName, type TenantId } from '#core/domain/ids.ts';
import { isRole, type Role } from '#core/domain/role.ts';
import { PortError } from '#core/errors.ts';
import type { SecretStore } from '#core/ports/secret-store.ts';
import type { Principal } from './principal.ts';

const KEY_SECRET = 'api-gateway.session-key';
const ENDED_SECRET = 'api-gateway.ended-sessions';
const MAX_ENDED = 10_000;

/** When each ended session would have expired, by its id. */
const endedSchema = z.record(z.string(), z.number());

const contentSchema = z.object({
  id: z.string(),
  subject: z.string(),
  tenant: z.string().refine(isName),
  roles: z.array(z.string()),
  expiresAtMs: z.number(),
});

/**
 * Sessions of people at the page. The cookie carries its content, signed with a key from the secret store, so that a session outlives a
 * restart and any replica can read it. Ended sessions are remembered until they would have expired, within a bound, in memory and, for the
 * next start, in the secret store.
 */
export class Sessions {
  readonly #secrets: SecretStore;
  readonly #key: Buffer;
  readonly #clock: Clock;
  readonly #lifetimeMs: number;
  readonly #ended = new Map<string, number>();
  #saving: Promise<void> = Promise.resolve();

  static async open(secrets: SecretStore, clock: Clock, lifetimeMs: number): Promise<Sessions> {
    let key = await secrets.get(KEY_SECRET);
    if (key === undefined) {
      key = randomBytes(32).toString('base64url');
      await secrets.put(KEY_SECRET, key);
    }
    const sessions = new Sessions(secrets, Buffer.from(key, 'base64url'), clock, lifetimeMs);
    await sessions.#readEnded();
    return sessions;
  }

  private constructor(secrets: SecretStore, key: Buffer, clock: Clock, lifetimeMs: number) {
    this.#secrets = secrets;
    this.#key = key;
    this.#clock = clock;
    this.#lifetimeMs = lifetimeMs;
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

  /** At once in this process; resolves when a restart does not bring it back either. @throws PortError of the secret store. */
  async end({ sessionId, expiresAtMs }: Principal): Promise<void> {
    if (sessionId === undefined) return;
    this.#remember(sessionId, expiresAtMs);
    const saved = this.#saving.then(() => this.#saveEnded());
    // One that failed is told to whoever asked for it, and must not stop the next.
    this.#saving = saved.catch(() => undefined);
    await saved;
  }

  /** What another replica has ended since is kept too. */
  async #saveEnded(): Promise<void> {
    await this.#readEnded();
    await this.#secrets.put(ENDED_SECRET, JSON.stringify(Object.fromEntries(this.#ended)));
  }

  async #readEnded(): Promise<void> {
    const text = await this.#secrets.get(ENDED_SECRET);
    if (text === undefined) return;
    const parsed = endedSchema.safeParse(jsonOf(text));
    if (!parsed.success) {
      throw new PortError(
        'data_loss',
        `secret ${ENDED_SECRET} cannot be read; delete it and ${KEY_SECRET}, which ends all sessions`,
      );
    }
    for (const [id, expiresAtMs] of Object.entries(parsed.data)) {
      if (!this.#ended.has(id)) this.#remember(id, expiresAtMs);
    }
  }

  #remember(sessionId: string, untilMs: number): void {
    const nowMs = this.#clock.nowMs();
    for (const [id, expiresAtMs] of this.#ended) if (expiresAtMs <= nowMs) this.#ended.delete(id);
    if (untilMs <= nowMs) return;
    for (const oldest of this.#ended.keys()) {
      if (this.#ended.size < MAX_ENDED) break;
      this.#ended.delete(oldest);
    }
    this.#ended.set(sessionId, untilMs);
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

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
