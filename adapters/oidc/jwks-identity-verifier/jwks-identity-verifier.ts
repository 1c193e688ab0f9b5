import { createHash } from 'node:crypto';
import { createRemoteJWKSet, errors, jwtVerify, type JWTPayload } from 'jose';
import { systemClock, type Clock } from '#core/clock.ts';
import { isName, type TenantId } from '#core/domain/ids.ts';
import { isRole } from '#core/domain/role.ts';
import { isPortError, PortError, throwIfAborted, type CallOptions } from '#core/errors.ts';
import type { Identity, IdentityVerifier } from '#core/ports/identity-verifier.ts';
import type { JwksIdentityVerifierConfig } from './config.ts';

/** A larger one is no token of an issuer that we would choose, and costs time to hash. */
const MAX_TOKEN_LENGTH = 8192;

/** Verifies an OIDC issuer's tokens with the keys it publishes. Verified tokens are remembered for `trustMs`, within a bound. */
export class JwksIdentityVerifier implements IdentityVerifier {
  readonly #config: JwksIdentityVerifierConfig;
  readonly #clock: Clock;
  readonly #isRevoked: (tokenId: string) => boolean;
  readonly #keys: ReturnType<typeof createRemoteJWKSet>;
  readonly #verified = new Map<string, { readonly identity: Identity; readonly untilMs: number }>();

  /** `isRevoked`: asked for every token that has a `jti`, also for remembered ones. */
  constructor(
    config: JwksIdentityVerifierConfig,
    { clock = systemClock, isRevoked = () => false }: { clock?: Clock; isRevoked?: (tokenId: string) => boolean } = {},
  ) {
    this.#config = config;
    this.#clock = clock;
    this.#isRevoked = isRevoked;
    this.#keys = createRemoteJWKSet(new URL(config.jwksUri), {
      cooldownDuration: config.keysCooldownMs,
      cacheMaxAge: config.keysMaxAgeMs,
      timeoutDuration: config.fetchTimeoutMs,
    });
  }

  async verify(token: string, { signal }: CallOptions = {}): Promise<Identity> {
    throwIfAborted(signal);
    if (token.length > MAX_TOKEN_LENGTH) throw denied('the token is too long');
    const digest = createHash('sha256').update(token).digest('base64');
    const identity = this.#recall(digest) ?? this.#remember(digest, await this.#check(token));
    throwIfAborted(signal);
    if (identity.tokenId !== undefined && this.#isRevoked(identity.tokenId)) throw denied('the token was revoked');
    return identity;
  }

  #recall(digest: string): Identity | undefined {
    const known = this.#verified.get(digest);
    if (known && this.#clock.nowMs() < known.untilMs) return known.identity;
    this.#verified.delete(digest);
    return undefined;
  }

  #remember(digest: string, identity: Identity): Identity {
    const { maxCachedTokens, trustMs, clockToleranceMs } = this.#config;
    const untilMs = Math.min(this.#clock.nowMs() + trustMs, identity.expiresAtMs + clockToleranceMs);
    this.#verified.set(digest, { identity, untilMs });
    for (const oldest of this.#verified.keys()) {
      if (this.#verified.size <= maxCachedTokens) break;
      this.#verified.delete(oldest);
    }
    return identity;
  }

  async #check(token: string): Promise<Identity> {
    const { issuer, audience, algorithms, clockToleranceMs } = this.#config;
    try {
      const { payload } = await jwtVerify(token, this.#keys, {
        issuer,
        audience,
        algorithms: [...algorithms],
        clockTolerance: clockToleranceMs / 1000,
        currentDate: new Date(this.#clock.nowMs()),
        requiredClaims: ['exp', 'sub'],
      });
      return this.#identityOf(payload);
    } catch (error) {
      throw isPortError(error) ? error : verificationError(error);
    }
  }

  #identityOf(payload: JWTPayload): Identity {
    const { tenantClaim, rolesClaim } = this.#config;
    const tenant = payload[tenantClaim];
    const roles = payload[rolesClaim];
    if (!isName(tenant)) throw denied(`the claim ${tenantClaim} is not the name of a tenant`);
    if (!Array.isArray(roles)) throw denied(`the claim ${rolesClaim} is not a list`);
    const known = roles.filter(isRole);
    if (known.length === 0) throw denied(`the claim ${rolesClaim} names no role of this platform`);
    if (!payload.sub || payload.exp === undefined) throw denied('the subject is empty');
    return {
      subject: payload.sub.slice(0, 256),
      tenant: tenant as TenantId,
      roles: known,
      expiresAtMs: payload.exp * 1000,
      ...(payload.jti !== undefined && { tokenId: payload.jti }),
    };
  }
}

/** jose's codes that do not speak of the token, but of fetching the issuer's keys. */
const KEYS_OUT_OF_REACH: ReadonlySet<string> = new Set(['ERR_JWKS_TIMEOUT', 'ERR_JWKS_INVALID', 'ERR_JOSE_GENERIC']);

function verificationError(error: unknown): PortError {
  if (!(error instanceof errors.JOSEError) || KEYS_OUT_OF_REACH.has(error.code)) {
    return new PortError('unavailable', "the identity issuer's keys could not be fetched", { cause: error });
  }
  return denied(REASONS[error.code] ?? 'it is not a signed token', error);
}

const REASONS: Readonly<Record<string, string>> = {
  ERR_JWT_EXPIRED: 'the token has expired',
  ERR_JWT_CLAIM_VALIDATION_FAILED: 'a claim of the token is missing or wrong',
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: 'the signature is wrong',
  ERR_JWKS_NO_MATCHING_KEY: 'the issuer has no such key',
  ERR_JOSE_ALG_NOT_ALLOWED: 'the signature algorithm is not allowed',
};

function denied(reason: string, cause?: unknown): PortError {
  return new PortError('permission_denied', reason, cause === undefined ? undefined : { cause });
}
