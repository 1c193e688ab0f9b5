import type { MachineKey, TenantId } from '#core/domain/ids.ts';
import type { Role } from '#core/domain/role.ts';

/** Who makes a call. The tenant is that of a signed token, of a session made by one, or of a device's own registration. */
export interface Principal {
  readonly kind: 'token' | 'session' | 'device';
  readonly subject: string;
  readonly tenant: TenantId;
  readonly roles: readonly Role[];
  readonly expiresAtMs: number;
  /** A device speaks for these machines alone. */
  readonly machines?: ReadonlySet<MachineKey>;
  /** Of a session. */
  readonly sessionId?: string;
  readonly csrfToken?: string;
  /** Of a session that was begun at one of the site's issuers: its `signIn.id`. */
  readonly signedInAt?: string;
}
