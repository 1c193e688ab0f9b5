import type { CallOptions } from '../errors.ts';
import type { TenantId } from '../domain/ids.ts';
import type { Role } from '../domain/role.ts';

/** Tells who sent a bearer token. The tenant comes from a signed claim, never from anything else of a request. */
export interface IdentityVerifier {
  /**
   * Checks signature (asymmetric algorithms of an allow-list only), `iss`, `aud`, `exp`, `nbf`, and that tenant and roles are among the
   * claims. Keys are fetched from the issuer and kept; an unknown key id makes it look again, at most once in a while.
   * @throws PortError permission_denied (the message says why, and never repeats the token), unavailable (no keys could be fetched).
   */
  verify(token: string, options?: CallOptions): Promise<Identity>;
}

/** Judges the tokens of one issuer. A site that trusts several issuers has one of each. */
export interface IssuerVerifier extends IdentityVerifier {
  /** Exactly the `iss` of the tokens that it judges; it refuses all others. */
  readonly issuer: string;
}

/** Who somebody is, and what they may do for how long. */
export interface Identity {
  readonly subject: string;
  readonly tenant: TenantId;
  readonly roles: readonly Role[];
  /** The token's own id, `jti`; absent where the issuer gives none. */
  readonly tokenId?: string;
  readonly expiresAtMs: number;
}
