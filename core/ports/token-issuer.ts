import type { CallOptions } from '../errors.ts';
import type { TenantId } from '../domain/ids.ts';
import type { Role } from '../domain/role.ts';

/**
 * An issuer that the platform itself may ask for tokens. All processes of a site have the same, whichever of them started first: what one issues,
 * all take. A site whose identities are made elsewhere has none.
 */
export interface TokenIssuer {
  /**
   * Issues a bearer token for an API client. The token is returned once and kept nowhere.
   * @throws PortError invalid_argument (no role, no subject, a life that is too long or of no length), resource_exhausted (the tenant has
   * as many unexpired tokens as the issuer keeps), unavailable.
   */
  issue(
    request: TokenRequest,
    options?: CallOptions,
  ): Promise<{ readonly token: string; readonly record: TokenRecord }>;
  /** What was issued to the tenant and has not expired, newest first and those of one instant by id; revoked tokens are marked. */
  listTokens(tenant: TenantId, options?: CallOptions): Promise<readonly TokenRecord[]>;
  /** From when it resolves, verifiers of this process refuse the token; others soon. @throws PortError not_found. */
  revoke(tenant: TenantId, id: string, options?: CallOptions): Promise<void>;
}

/** What a token is asked for. */
export interface TokenRequest {
  readonly tenant: TenantId;
  /** The client or person that will use it. */
  readonly subject: string;
  readonly roles: readonly Role[];
  readonly lifetimeMs: number;
}

/** What is known of an issued token: everything but the token. */
export interface TokenRecord {
  /** The token's own id, `jti`. */
  readonly id: string;
  readonly tenant: TenantId;
  readonly subject: string;
  readonly roles: readonly Role[];
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  readonly revoked: boolean;
}
