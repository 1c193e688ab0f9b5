import { Construct } from 'constructs';
import type { Environment } from '../../core/decision/environment.ts';
import { otherIssuer, rolesByGroup } from '../other-issuer.ts';
import type { AzureStack } from './azure-stack.ts';
import type { IdentityVerifierSection } from './ports.ts';

const ISSUER = /^https:\/\/login\.microsoftonline\.com\/([0-9a-f-]{36})\/v2\.0\/?$/;

/** Who lets people in: the directory that the environment names, or another issuer. The application there is whoever keeps the directory's. */
export class EntraIdentityVerifier extends Construct {
  readonly sections: readonly IdentityVerifierSection[];

  constructor(scope: AzureStack, id: string) {
    super(scope, id);
    const { identity, tenants } = scope.site.environment;
    const [, directoryId] = ISSUER.exec(identity.issuer) ?? [];
    this.sections = [directoryId === undefined ? otherIssuer(identity) : entra(directoryId, identity, tenants)];
  }
}

type Identity = Environment['identity'];

function entra(
  directoryId: string,
  { audience, tenant, groups, signIn }: Identity,
  tenants: readonly string[],
): IdentityVerifierSection {
  return {
    adapter: 'entra-identity-verifier',
    directoryId,
    audience,
    tenant: tenantOf(tenant, tenants),
    ...(groups && { groups: rolesByGroup(groups) }),
    ...(signIn && { signIn: signIn }),
  };
}

/** Entra's tokens name no tenant of the platform's: where there is one alone, all are of it; never of the first of several. */
function tenantOf(tenant: Identity['tenant'], tenants: readonly string[]) {
  if (tenant?.claim !== undefined) return { claim: tenant.claim };
  if (tenant?.is !== undefined) return { is: tenant.is };
  return tenants.length === 1 ? { is: tenants[0]! } : { claim: 'tenant' };
}
