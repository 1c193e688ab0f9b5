import { createHash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '#core/clock.ts';
import { SharedDocument } from '#core/delivery/shared-document.ts';
import { isName, type TenantId } from '#core/domain/ids.ts';
import { isRole, type Role } from '#core/domain/role.ts';
import type { CheckpointStore } from '#core/ports/checkpoint-store.ts';
import { readDocument } from './readable-document.ts';

/** For whom a sign-in link was made. */
export interface Invitation {
  readonly subject: string;
  readonly tenant: TenantId;
  readonly roles: readonly Role[];
}

const NAME = 'api-gateway.sign-in-codes';
const REMEDY = 'delete it, which makes the sign-in links of the last ten minutes void';
const SIGN_IN_CODE_LIFETIME_MS = 600_000;
/** With the longest names a document of 200 KiB, which every checkpoint store takes. */
const MAX_CODES = 500;

/** By the hash of the code. */
const invitationsSchema = z.record(
  z.string(),
  z.object({
    subject: z.string(),
    tenant: z.string().refine(isName),
    roles: z.array(z.string()),
    expiresAtMs: z.number(),
  }),
);
type Invitations = z.infer<typeof invitationsSchema>;

/**
 * One-time codes of sign-in links: 256 random bits each, kept as hashes where all copies of the gateway find them, and any may redeem them: of two
 * that try at once, one does.
 */
export class SignInCodes {
  readonly #clock: Clock;
  readonly #invitations: SharedDocument<Invitations>;

  constructor(checkpoints: CheckpointStore, clock: Clock) {
    this.#clock = clock;
    this.#invitations = new SharedDocument(checkpoints, NAME, clock, (text) =>
      readDocument(text, invitationsSchema, `checkpoint ${NAME}`, REMEDY),
    );
  }

  /** Above the bound the oldest code of the tenant that has most becomes void: no tenant's links are at another's cost. @throws PortError of the checkpoint store. */
  async issue(invitation: Invitation): Promise<{ readonly code: string; readonly expiresAtMs: number }> {
    const code = randomBytes(32).toString('base64url');
    const expiresAtMs = this.#clock.nowMs() + SIGN_IN_CODE_LIFETIME_MS;
    const added = { ...invitation, roles: [...invitation.roles], expiresAtMs };
    await this.#invitations.change((all = {}) => {
      return withinBound({ ...this.#unexpired(all), [digest(code)]: added });
    });
    return { code, expiresAtMs };
  }

  /** For whom the code is, the first time within its life; undefined otherwise. @throws PortError of the checkpoint store. */
  async redeem(code: string): Promise<Invitation | undefined> {
    const key = digest(code);
    let redeemed: Invitations[string] | undefined;
    // Another copy may have made it since this one last looked.
    await this.#invitations.read(0);
    await this.#invitations.change((all = {}) => {
      const { [key]: found, ...others } = this.#unexpired(all);
      redeemed = found;
      return found && others;
    });
    if (!redeemed) return undefined;
    const { subject, tenant, roles } = redeemed;
    return { subject, tenant: tenant as TenantId, roles: roles.filter(isRole) };
  }

  #unexpired(all: Invitations): Invitations {
    const nowMs = this.#clock.nowMs();
    return Object.fromEntries(Object.entries(all).filter(([, { expiresAtMs }]) => expiresAtMs > nowMs));
  }
}

function withinBound(all: Invitations): Invitations {
  const kept = Object.entries(all).sort(([, one], [, other]) => one.expiresAtMs - other.expiresAtMs);
  while (kept.length > MAX_CODES) {
    const byTenant = Map.groupBy(kept, ([, { tenant }]) => tenant);
    const most = Math.max(...[...byTenant.values()].map((own) => own.length));
    kept.splice(
      kept.findIndex(([, { tenant }]) => byTenant.get(tenant)!.length === most),
      1,
    );
  }
  return Object.fromEntries(kept);
}

/** A look-up by hash takes as long whatever was guessed. */
function digest(code: string): string {
  return createHash('sha256').update(code).digest('base64');
}
