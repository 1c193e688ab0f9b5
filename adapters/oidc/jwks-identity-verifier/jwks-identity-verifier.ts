import { createHash } from 'node:crypto';
import { errors, jwtVerify, type JWTHeaderParameters, type JWTPayload } from 'jose';
import { systemClock, type Clock } from '#core/clock.ts';
import { isName, type TenantId } from '#core/domain/ids.ts';
import { isPortError, PortError, throwIfAborted, type CallOptions } from '#core/errors.ts';
import type { Identity, IssuerVerifier } from '#core/ports/identity-verifier.ts';
import { orStopWaiting } from '#core/stop-waiting.ts';
import { readClaims } from './claims.ts';
import { MAX_TOKEN_LENGTH, type JwksIdentityVerifierConfig } from './config.ts';
import { issuerKeys, type IssuerKeys } from './issuer-keys.ts';
import { kindOf, TAKEN } from './token-kind.ts';

/** Verifies an OIDC issuer's tokens with the keys it publishes. Verified tokens are remembered for `trustMs`, within a bound. */
export class JwksIdentityVerifier implements IssuerVerifier {
  readonly issuer: string;
  readonly #config: JwksIdentityVerifierConfig;
  readonly #clock: Clock;
  readonly #isRevoked: (tokenId: string) => boolean;
  readonly #keys: IssuerKeys;
  readonly #verified = new Map<string, { readonly identity: Identity; readonly untilMs: number }>();

  /** `isRevoked`: asked for every token that has a `jti`, also for remembered ones. */
  constructor(
    config: JwksIdentityVerifierConfig,
    { clock = systemClock, isRevoked = () => false }: { clock?: Clock; isRevoked?: (tokenId: string) => boolean } = {},
  ) {
    this.#config = config;
    this.#clock = clock;
    this.#isRevoked = isRevoked;
    this.issuer = config.issuer;
    this.#keys = issuerKeys(config, clock);
  }

  async verify(token: string, { signal }: CallOptions = {}): Promise<Identity> {
    throwIfAborted(signal);
    if (token.length > MAX_TOKEN_LENGTH) throw denied('the token is too long');
    const digest = createHash('sha256').update(token).digest('base64');
    const identity = this.#recall(digest) ?? this.#remember(digest, await orStopWaiting(this.#check(token), signal));
    if (identity.tokenId !== undefined && this.#isRevoked(identity.tokenId)) throw denied('the token was revoked');
    return identity;
  }

  problem(): string | undefined {
    return this.#keys.problem();
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
    const { issuer, audience, algorithms, clockToleranceMs, claims } = this.#config;
    try {
      const { payload, protectedHeader } = await jwtVerify(token, this.#keys.keyOf, {
        issuer,
        ...(claims.audience === 'aud' && { audience: [...audience] }),
        algorithms: [...algorithms],
        clockTolerance: clockToleranceMs / 1000,
        currentDate: new Date(this.#clock.nowMs()),
        requiredClaims: ['exp', 'sub'],
      });
      return this.#identityOf(payload, protectedHeader);
    } catch (error) {
      throw isPortError(error) ? error : verificationError(error);
    }
  }

  #identityOf(payload: JWTPayload, header: JWTHeaderParameters): Identity {
    const { audience, claims, tokens } = this.#config;
    const kind = kindOf(payload, header);
    if (!TAKEN[tokens].has(kind)) throw denied(`it is another kind of token, ${kind ?? 'which it does not say'}`);
    const claimed = readClaims(payload, claims, audience);
    if ('why' in claimed) throw denied(claimed.why);
    const { subject, tenant, roles } = claimed;
    if (!isName(tenant)) throw denied('the claim of the tenant is not the name of one');
    if (!payload.sub || payload.exp === undefined) throw denied('the subject is empty');
    return {
      subject,
      tenant: tenant as TenantId,
      roles,
      expiresAtMs: payload.exp * 1000,
      ...(typeof payload.jti === 'string' && { tokenId: payload.jti }),
    };
  }
}

/** jose's codes that do not speak of the token, but of fetching the issuer's keys. */
const KEYS_OUT_OF_REACH: ReadonlySet<string> = new Set(['ERR_JWKS_TIMEOUT', 'ERR_JWKS_INVALID', 'ERR_JOSE_GENERIC']);

function verificationError(error: unknown): PortError {
  if (!(error instanceof errors.JOSEError) || KEYS_OUT_OF_REACH.has(error.code)) {
    return new PortError('unavailable', "the identity issuer's keys could not be fetched", { cause: error });
  }
  if (error instanceof errors.JWTClaimValidationFailed)
    return denied(`the claim ${error.claim} is missing or wrong`, error);
  return denied(REASONS[error.code] ?? 'it is not a signed token', error);
}

const REASONS: Readonly<Record<string, string>> = {
  ERR_JWT_EXPIRED: 'the token has expired',
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: 'the signature is wrong',
  ERR_JWKS_NO_MATCHING_KEY: 'the issuer has no such key',
  ERR_JWKS_MULTIPLE_MATCHING_KEYS: 'it does not name one key of the issuer',
  ERR_JOSE_ALG_NOT_ALLOWED: 'the signature algorithm is not allowed',
};

function denied(reason: string, cause?: unknown): PortError {
  return new PortError('permission_denied', reason, cause === undefined ? undefined : { cause });
}
