import type { JwksIdentityVerifierSettings } from '../../oidc/jwks-identity-verifier/config.ts';
import type { IdentityPlatformIdentityVerifierConfig } from './config.ts';

/**
 * How ID tokens of Identity Platform are checked, which has no access tokens of its own; roles are the custom claim `roles`.
 * https://cloud.google.com/identity-platform/docs/verify-id-tokens#verify_id_tokens_using_a_third-party_jwt_library
 */
export function identityPlatformTokens(config: IdentityPlatformIdentityVerifierConfig): JwksIdentityVerifierSettings {
  const { projectId, tenant, ...further } = config;
  return {
    ...{ issuer: `https://securetoken.google.com/${projectId}`, audience: projectId, algorithms: ['RS256'] },
    ...{ tokens: 'id', claims: { tenant }, ...further },
    jwksUri: 'https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com',
  };
}
