import { createHash } from 'node:crypto';
import { Construct } from 'constructs';
import { CognitoUserGroup } from '@cdktf/provider-aws/lib/cognito-user-group/index.js';
import { CognitoUserPoolClient } from '@cdktf/provider-aws/lib/cognito-user-pool-client/index.js';
import { CognitoUserPoolDomain } from '@cdktf/provider-aws/lib/cognito-user-pool-domain/index.js';
import { CognitoUserPool } from '@cdktf/provider-aws/lib/cognito-user-pool/index.js';
import { cloudOfPool } from '../../core/decision/environment-rules.ts';
import type { Environment } from '../../core/decision/environment.ts';
import { ROLES } from '../../core/domain/role.ts';
import { otherIssuer } from '../other-issuer.ts';
import type { AwsStack } from './aws-stack.ts';
import type { IdentityVerifierSection } from './ports.ts';

/** As the platform's page names the way of signing in, in the address that Cognito comes back to. */
const SIGN_IN_ID = 'cognito';
const GROUP_PREFIX = 'tribo-';

/** Whether the environment's issuer is Cognito: then the pool is the site's own. */
function isCognito({ identity }: Environment): boolean {
  return cloudOfPool(identity.issuer) === 'aws';
}

/**
 * Who lets people in. Of Cognito a pool of the site's own, in which administrators alone make users, who sign in with a second factor; a group
 * for each role. Of any other issuer nothing is made: its tokens are taken.
 */
export class CognitoIdentityVerifier extends Construct {
  readonly sections: readonly IdentityVerifierSection[];

  constructor(scope: AwsStack, id: string) {
    super(scope, id);
    const { environment } = scope.site;
    this.sections = [isCognito(environment) ? this.#pool(scope) : otherIssuer(environment.identity)];
  }

  #pool({ site, account }: AwsStack): IdentityVerifierSection {
    const { names, environment, isProtected, region } = site;
    const pool = new CognitoUserPool(this, 'pool', {
      name: names.of('people', 128),
      deletionProtection: isProtected ? 'ACTIVE' : 'INACTIVE',
      usernameAttributes: ['email'],
      autoVerifiedAttributes: ['email'],
      usernameConfiguration: { caseSensitive: false },
      mfaConfiguration: 'ON',
      softwareTokenMfaConfiguration: { enabled: true },
      adminCreateUserConfig: { allowAdminCreateUserOnly: true },
      passwordPolicy: {
        minimumLength: 12,
        requireLowercase: true,
        requireUppercase: true,
        requireNumbers: true,
        requireSymbols: false,
        temporaryPasswordValidityDays: 7,
      },
      accountRecoverySetting: { recoveryMechanism: [{ name: 'verified_email', priority: 1 }] },
    });
    for (const role of ROLES)
      new CognitoUserGroup(this, role, {
        name: `${GROUP_PREFIX}${role}`,
        userPoolId: pool.id,
        description: `The role ${role}`,
      });
    // The names of domains are all pools' of the region, and may not have those of the vendor in them, as a site's may.
    const digest = createHash('sha256').update(names.base).digest('hex').slice(0, 12);
    const domain = new CognitoUserPoolDomain(this, 'domain', {
      domain: `tribo-${digest}-${account}`,
      userPoolId: pool.id,
    });
    const origin = `https://${environment.domain}`;
    const client = new CognitoUserPoolClient(this, 'page', {
      name: 'page',
      userPoolId: pool.id,
      // A public client: the code that it gets is worth nothing without what the browser kept (PKCE).
      generateSecret: false,
      allowedOauthFlowsUserPoolClient: true,
      allowedOauthFlows: ['code'],
      allowedOauthScopes: ['openid', 'profile'],
      supportedIdentityProviders: ['COGNITO'],
      callbackUrls: [`${origin}/v1/sign-in/${SIGN_IN_ID}/callback`],
      logoutUrls: [`${origin}/`],
      preventUserExistenceErrors: 'ENABLED',
      enableTokenRevocation: true,
      explicitAuthFlows: ['ALLOW_REFRESH_TOKEN_AUTH'],
      accessTokenValidity: 60,
      idTokenValidity: 60,
      refreshTokenValidity: 1,
      tokenValidityUnits: [{ accessToken: 'minutes', idToken: 'minutes', refreshToken: 'days' }],
    });
    return {
      adapter: 'cognito-identity-verifier',
      region,
      userPoolId: pool.id,
      clientIds: [client.id],
      tenant: { is: environment.tenants[0]! },
      groupPrefix: GROUP_PREFIX,
      signIn: {
        id: SIGN_IN_ID,
        name: 'Cognito',
        clientId: client.id,
        domain: `https://${domain.domain}.auth.${region}.amazoncognito.com`,
      },
    };
  }
}
