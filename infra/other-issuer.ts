import type { z } from 'zod';
import type { jwksIdentityVerifierConfigSchema } from '../adapters/oidc/jwks-identity-verifier/config.ts';
import type { Environment } from '../core/decision/environment.ts';

type Identity = Environment['identity'];

/** The claims in which issuers list somebody's groups, and in which tokens name their application (RFC 9068, 2.2). */
const GROUPS_CLAIM = 'groups';
const APPLICATION_CLAIM = 'client_id';

/** Of an issuer that is not the cloud's own: nothing is made of it, and its tokens are read as the environment says. */
export function otherIssuer({
  issuer,
  audience,
  clientIds,
  tenant,
  groups,
  signIn,
}: Identity): { readonly adapter: 'jwks-identity-verifier' } & z.input<typeof jwksIdentityVerifierConfigSchema> {
  const claims = {
    ...(clientIds && { audience: APPLICATION_CLAIM }),
    ...(tenant && { tenant: tenant.claim === undefined ? { is: tenant.is! } : { claim: tenant.claim } }),
    ...(groups && { roles: { claim: GROUPS_CLAIM, names: rolesByGroup(groups) } }),
  };
  return {
    ...{ adapter: 'jwks-identity-verifier', issuer, audience: clientIds ?? audience },
    ...(Object.keys(claims).length > 0 && { claims }),
    ...(signIn && { signIn }),
  };
}

/** The environment says the group of a role, adapters take the role of a group. */
export function rolesByGroup(groups: NonNullable<Identity['groups']>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(groups).flatMap(([role, group]) => (group === undefined ? [] : [[group, role]])),
  );
}
