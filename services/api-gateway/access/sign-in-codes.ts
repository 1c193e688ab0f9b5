import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '#core/clock.ts';
import type { TenantId } from '#core/domain/ids.ts';
import type { Role } from '#core/domain/role.ts';

/** For whom a sign-in link was made. */
export interface Invitation {
  readonly subject: string;
  readonly tenant: TenantId;
  readonly roles: readonly Role[];
}

const SIGN_IN_CODE_LIFETIME_MS = 600_000;
const MAX_CODES = 1000;

/** One-time codes of sign-in links: 256 random bits each, kept as hashes, in memory. A restart makes them void. */
export class SignInCodes {
  readonly #clock: Clock;
  readonly #invitations = new Map<string, Invitation & { readonly expiresAtMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Above the bound the oldest code becomes void. */
  issue(invitation: Invitation): { readonly code: string; readonly expiresAtMs: number } {
    for (const oldest of this.#invitations.keys()) {
      if (this.#invitations.size < MAX_CODES) break;
      this.#invitations.delete(oldest);
    }
    const code = randomBytes(32).toString('base64url');
    const expiresAtMs = this.#clock.nowMs() + SIGN_IN_CODE_LIFETIME_MS;
    this.#invitations.set(digest(code), { ...invitation, expiresAtMs });
    return { code, expiresAtMs };
  }

  /** For whom the code is, the first time within its life; undefined otherwise. */
  redeem(code: string): Invitation | undefined {
    const key = digest(code);
    const invitation = this.#invitations.get(key);
    this.#invitations.delete(key);
    return invitation && invitation.expiresAtMs > this.#clock.nowMs() ? invitation : undefined;
  }
}

/** A look-up by hash takes as long whatever was guessed. */
function digest(code: string): string {
  return createHash('sha256').update(code).digest('base64');
}
