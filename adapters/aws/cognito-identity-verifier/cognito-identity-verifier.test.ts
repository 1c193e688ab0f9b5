import { describe, expect, it } from '@jest/globals';
import { identityVerifierContract, type Claims } from '#core/contracts/identity-verifier.contract.ts';
import { signInIssuerContract } from '#core/contracts/sign-in-issuer.contract.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { openSignIn, openVerifier, renamed, without } from '#test/support/oidc-issuer.ts';
import { cognitoTokens } from './cognito-identity-verifier.ts';
import { cognitoIdentityVerifierConfigSchema } from './config.ts';

const POOL = { region: 'us-east-1', userPoolId: 'us-east-1_example', clientIds: ['1example23456789', '2example'] };
const config = cognitoIdentityVerifierConfigSchema.parse({
  ...POOL,
  tenant: { claim: 'custom:tenant' },
  clientScopes: 'tribo/',
});

const cognito = () =>
  openVerifier(cognitoTokens(config), (claims) => ({
    ...without(claims, 'aud', 'tenant', 'roles'),
    ...('aud' in claims && { client_id: claims['aud'] }),
    ...('tenant' in claims && { 'custom:tenant': claims['tenant'] }),
    ...('roles' in claims && { 'cognito:groups': renamed(claims['roles'], (role) => `tribo-${role}`) }),
    token_use: 'access',
  }));

/** The access token that Amazon's guide shows, but for its times: docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html */
function documented(claims: Claims) {
  const { iss, iat, exp } = claims;
  return {
    ...{ iss, iat, exp, auth_time: iat, version: 2, token_use: 'access', client_id: '1example23456789' },
    sub: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee',
    'cognito:groups': ['testgroup', 'tribo-viewer'],
    ...{ origin_jti: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee', jti: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee' },
    ...{ scope: 'phone openid profile resourceserver.1/appclient2 email', username: 'my-test-user' },
    'custom:tenant': 'demo',
  };
}

describeContract(identityVerifierContract, 'access tokens as Cognito makes them', cognito);

const PAGE = { id: 'cognito', name: 'Plant accounts', clientId: 'page' };

/** https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-id-token.html */
describeContract(signInIssuerContract, 'ID tokens as Cognito makes them, at its own endpoints but that for codes', () =>
  openSignIn(
    cognitoTokens({ ...config, signIn: signInConfig({ domain: 'https://plant.auth.us-east-1.amazoncognito.com' }) }),
    (claims) => ({
      ...without(claims, 'tenant', 'roles'),
      ...{ 'custom:tenant': claims['tenant'], token_use: 'id' },
      'cognito:groups': renamed(claims['roles'], (role) => `tribo-${role}`),
    }),
  ),
);

function signInConfig(more: { readonly domain: string }) {
  return cognitoIdentityVerifierConfigSchema.parse({ ...config, signIn: { ...PAGE, ...more } }).signIn;
}

describe('Cognito identity verifier', () => {
  it('takes the access token that Amazon documents, and passes over groups that are not of this platform', async () => {
    await using issuer = await cognito();
    const claims = documented(issuer.validClaims());
    const identity = await issuer.verifier.verify(await issuer.signAsIs(claims));
    expect(identity).toMatchObject({ subject: claims['sub'], tenant: 'demo', roles: ['viewer'] });
    await issuer.verifier.verify(await issuer.signAsIs({ ...claims, client_id: '2example' }));
  });

  it.each([
    ['an ID token', { token_use: 'id' }, 'token_use is not "access"'],
    ['an ID token, which names the client in aud', { token_use: 'id', aud: '1example23456789' }, 'token_use'],
    ['a token of another client of the pool', { client_id: 'another' }, 'client_id is of another client'],
    [
      'a token of another pool',
      { iss: 'https://cognito-idp.us-east-1.amazonaws.com/us-east-1_other' },
      'the claim iss',
    ],
  ])('refuses %s', async (_what, change, why) => {
    await using issuer = await cognito();
    const token = await issuer.signAsIs({ ...documented(issuer.validClaims()), ...change });
    await expect(issuer.verifier.verify(token)).rejects.toMatchObject({
      code: 'permission_denied',
      message: expect.stringContaining(why),
    });
  });

  it('counts scopes as roles of a client that speaks for itself, and never as those of a person', async () => {
    const ofPool = cognitoIdentityVerifierConfigSchema.parse({
      ...POOL,
      tenant: { is: 'north' },
      clientScopes: 'tribo/',
    });
    await using issuer = await openVerifier(cognitoTokens(ofPool), (claims) => claims);
    const person = { ...documented(issuer.validClaims()), scope: 'tribo/admin openid' };
    expect((await issuer.verifier.verify(await issuer.signAsIs(person))).roles).toEqual(['viewer']);
    const machine = { ...without(person, 'cognito:groups', 'username'), sub: person.client_id };
    const identity = await issuer.verifier.verify(
      await issuer.signAsIs({ ...machine, scope: 'tribo/ingest other/admin' }),
    );
    expect(identity).toMatchObject({ subject: '1example23456789', tenant: 'north', roles: ['ingest'] });
  });

  it('refuses a pool of another region, whose tokens would all be refused', () => {
    const settings = { ...POOL, region: 'us-east-2', tenant: { is: 'north' } };
    expect(() => cognitoIdentityVerifierConfigSchema.parse(settings)).toThrow('is of another region');
  });
});
