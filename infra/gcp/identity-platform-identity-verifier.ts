import { Construct } from 'constructs';
import { IdentityPlatformConfig } from '@cdktf/provider-google/lib/identity-platform-config/index.js';
import { cloudOfPool } from '../../core/decision/environment-rules.ts';
import type { Environment } from '../../core/decision/environment.ts';
import { otherIssuer } from '../other-issuer.ts';
import type { GcpStack } from './gcp-stack.ts';
import type { IdentityVerifierSection } from './ports.ts';

/** Whether the environment's issuer is Identity Platform: then its people are the project's own. */
function isIdentityPlatform({ identity }: Environment): boolean {
  return cloudOfPool(identity.issuer) === 'gcp';
}

/**
 * Who lets people in. Of Identity Platform the people of the project, whom administrators alone make, and who sign in with a second factor. Of any
 * other issuer nothing is made: its tokens are taken.
 */
export class IdentityPlatformIdentityVerifier extends Construct {
  readonly sections: readonly IdentityVerifierSection[];

  constructor(scope: GcpStack, id: string) {
    super(scope, id);
    const { environment } = scope.site;
    this.sections = [isIdentityPlatform(environment) ? this.#people(scope) : otherIssuer(environment.identity)];
  }

  #people({ site: { environment } }: GcpStack): IdentityVerifierSection {
    new IdentityPlatformConfig(this, 'people', {
      autodeleteAnonymousUsers: true,
      authorizedDomains: [environment.domain],
      signIn: { allowDuplicateEmails: false, email: { enabled: true, passwordRequired: true } },
      client: { permissions: { disabledUserSignup: true, disabledUserDeletion: true } },
      mfa: {
        state: 'MANDATORY',
        providerConfigs: [{ state: 'ENABLED', totpProviderConfig: { adjacentIntervals: 1 } }],
      },
    });
    return { adapter: 'identity-platform-identity-verifier', tenant: { is: environment.tenants[0]! } };
  }
}
