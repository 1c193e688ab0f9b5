import { Construct } from 'constructs';
import type { Environment } from '../../core/decision/environment.ts';
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
    tenant: tenant?.claim === undefined ? { is: tenant?.is ?? tenants[0]! } : { claim: tenant.claim },
    ...(groups && { groups: byName(groups) }),
    ...(signIn && { signIn: signIn }),
  };
}

function otherIssuer({ issuer, audience }: Identity): IdentityVerifierSection {
  return { adapter: 'jwks-identity-verifier', issuer, audience };
}

/** The environment says the group of a role, the adapter takes the role of a group. */
function byName(groups: NonNullable<Identity['groups']>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(groups).flatMap(([role, group]) => (group === undefined ? [] : [[group, role]])),
  );
}
