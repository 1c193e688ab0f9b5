import { z } from 'zod';
import type { Clock } from '#core/clock.ts';
import type { SignInAttempt } from '#core/ports/identity-verifier.ts';
import type { CookieSeal } from './cookie-seal.ts';

/** Time enough to find a second factor. */
export const SIGN_IN_WITHIN_MS = 600_000;

const attemptSchema = z.object({
  issuer: z.string(),
  state: z.string(),
  nonce: z.string(),
  codeVerifier: z.string(),
  returnTo: z.string(),
  expiresAtMs: z.number(),
});

/** A sign-in that one browser has begun: at which of the issuers, and where at the page it goes on. */
export interface BegunSignIn extends SignInAttempt {
  readonly issuer: string;
  readonly returnTo: string;
}

/** What is remembered of a sign-in while a browser is at the issuer: in that browser alone, under a seal, so that no other can end it. */
export class SignInAttempts {
  readonly #seal: CookieSeal;
  readonly #clock: Clock;

  constructor(seal: CookieSeal, clock: Clock) {
    this.#seal = seal;
    this.#clock = clock;
  }

  /** The value of the cookie. */
  begin(attempt: BegunSignIn): string {
    return this.#seal.seal('sign-in', { ...attempt, expiresAtMs: this.#clock.nowMs() + SIGN_IN_WITHIN_MS });
  }

  /** Undefined where the cookie is forged, or too old. */
  read(cookie: string): BegunSignIn | undefined {
    const content = this.#seal.unseal('sign-in', cookie);
    if (content === undefined) return undefined;
    const { expiresAtMs, ...attempt } = attemptSchema.parse(content);
    return expiresAtMs > this.#clock.nowMs() ? attempt : undefined;
  }
}
