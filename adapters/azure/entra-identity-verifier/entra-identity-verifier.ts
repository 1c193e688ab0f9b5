import type { JwksIdentityVerifierSettings } from '../../oidc/jwks-identity-verifier/config.ts';
import type { EntraIdentityVerifierConfig } from './config.ts';

/**
 * How access tokens of Entra ID are checked. A person, or an application that speaks for itself, is known by `oid`: `sub` differs for each
 * application. An ID token may have the same audience; it names no application that asks, as access tokens do in `azp` (`appid` in version 1).
 * https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
 */
export function entraTokens(config: EntraIdentityVerifierConfig): JwksIdentityVerifierSettings {
  const { directoryId, audience, version, tenant, groups, signIn, ...further } = config;
  const authority = `https://login.microsoftonline.com/${directoryId}`;
  return {
    issuer: version === 1 ? `https://sts.windows.net/${directoryId}/` : `${authority}/v2.0`,
    ...{ audience, algorithms: ['RS256'], jwksUri: `${authority}/discovery/v2.0/keys`, ...further },
    claims: {
      ...{ subject: 'oid', tenant, required: { tid: directoryId }, present: [version === 1 ? 'appid' : 'azp'] },
      roles: groups ? { claim: 'groups', names: groups } : { claim: 'roles' },
    },
    // ID tokens of the endpoint of version 2 are of version 2, whichever the application's access tokens are.
    ...(signIn && {
      signIn: {
        ...{ ...signIn, issuer: `${authority}/v2.0`, clientAuthentication: 'post' },
        authorizationEndpoint: `${authority}/oauth2/v2.0/authorize`,
        tokenEndpoint: `${authority}/oauth2/v2.0/token`,
        // https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc#send-a-sign-out-request
        endSessionEndpoint: `${authority}/oauth2/v2.0/logout`,
      },
    }),
  };
}
