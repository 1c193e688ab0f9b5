import type { JwksIdentityVerifierSettings } from '../../oidc/jwks-identity-verifier/config.ts';
import type { CognitoIdentityVerifierConfig } from './config.ts';

/**
 * How access tokens of a user pool are checked. They have no `aud` but `client_id`, and roles are groups.
 * https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html
 */
export function cognitoTokens(config: CognitoIdentityVerifierConfig): JwksIdentityVerifierSettings {
  const { region, userPoolId, clientIds, tenant, groupPrefix, clientScopes, signIn, ...further } = config;
  const host = region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com';
  const issuer = `https://cognito-idp.${region}.${host}/${userPoolId}`;
  return {
    ...{ issuer, audience: clientIds, algorithms: ['RS256'], jwksUri: `${issuer}/.well-known/jwks.json`, ...further },
    claims: {
      ...{ audience: 'client_id', tenant, required: { token_use: 'access' } },
      roles: { claim: 'cognito:groups', prefix: groupPrefix },
      ...(clientScopes !== undefined && { clientScopes }),
    },
    ...(signIn && { signIn: cognitoSignIn(signIn) }),
  };
}

/**
 * https://docs.aws.amazon.com/cognito/latest/developerguide/federation-endpoints.html; where a session ends:
 * https://docs.aws.amazon.com/cognito/latest/developerguide/logout-endpoint.html
 */
function cognitoSignIn({
  domain,
  ...offer
}: NonNullable<CognitoIdentityVerifierConfig['signIn']>): NonNullable<JwksIdentityVerifierSettings['signIn']> {
  const place = new URL(domain).origin;
  return {
    ...offer,
    authorizationEndpoint: `${place}/oauth2/authorize`,
    tokenEndpoint: `${place}/oauth2/token`,
    ...{ endSessionEndpoint: `${place}/logout`, signOutReturn: 'logout_uri' },
    required: { token_use: 'id' },
  };
}
