import type { JWTPayload } from 'jose';
import { isRole, type Role } from '#core/domain/role.ts';
import type { ClaimsMapping } from './config.ts';

/** What a token says by the claims of its issuer; `why` is the first thing that it does not say. */
export type Claimed =
  { readonly subject: string; readonly tenant: unknown; readonly roles: readonly Role[] } | { readonly why: string };

/** OpenID Connect allows 255. */
const MAX_SUBJECT_LENGTH = 256;

/** Reads what the platform wants of a token out of the claims that its issuer has for it. `wanted`: the audiences. */
export function readClaims(payload: JWTPayload, mapping: ClaimsMapping, wanted: readonly string[]): Claimed {
  const { tenant, subject, required, present, audience } = mapping;
  for (const [claim, value] of Object.entries(required))
    if (payload[claim] !== value) return { why: `the claim ${claim} is not ${JSON.stringify(value)}` };
  for (const claim of present)
    if (payload[claim] === undefined) return { why: `it lacks the claim ${claim}, and so is another kind of token` };
  if (audience !== 'aud' && !wanted.includes(payload[audience] as string))
    return { why: `the claim ${audience} is of another client` };
  const roles = rolesOf(payload, mapping);
  if ('why' in roles) return roles;
  const who = payload[subject];
  if (typeof who !== 'string' || who === '') return { why: `the claim ${subject} is empty` };
  // Not cut off: two who begin alike would be one in the audit trail.
  if (who.length > MAX_SUBJECT_LENGTH)
    return { why: `the claim ${subject} has more than ${MAX_SUBJECT_LENGTH} characters` };
  return { subject: who, tenant: 'is' in tenant ? tenant.is : payload[tenant.claim], ...roles };
}

function rolesOf(
  payload: JWTPayload,
  { roles, clientScopes }: ClaimsMapping,
): { readonly roles: readonly Role[] } | { readonly why: string } {
  const given = payload[roles.claim];
  const { scope, sub, client_id: client } = payload;
  const isClient = clientScopes !== undefined && typeof scope === 'string' && client === sub;
  if (!Array.isArray(given) && !isClient) return { why: `the claim ${roles.claim} is not a list` };
  const ofScopes = isClient ? scope.split(' ').map((name) => behind(clientScopes, name)) : [];
  const ofClaim = Array.isArray(given) ? given.map((name: unknown) => roleOf(name, roles)) : [];
  const known = new Set([...ofClaim, ...ofScopes].filter(isRole));
  return known.size > 0 ? { roles: [...known] } : { why: `the claim ${roles.claim} names no role of this platform` };
}

/** By the table where there is one, and else without the prefix. */
function roleOf(name: unknown, { prefix, names }: ClaimsMapping['roles']): unknown {
  if (typeof name !== 'string') return undefined;
  if (names) return Object.hasOwn(names, name) ? names[name] : undefined;
  return behind(prefix, name);
}

function behind(prefix: string, name: string): string | undefined {
  return name.startsWith(prefix) ? name.slice(prefix.length) : undefined;
}
