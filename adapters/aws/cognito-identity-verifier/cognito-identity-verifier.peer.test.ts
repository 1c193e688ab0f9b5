import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { decodeJwt } from 'jose';
import { identityVerifierContract } from '#core/contracts/identity-verifier.contract.ts';
import { jwksIdentityVerifierConfigSchema } from '#adapters/oidc/jwks-identity-verifier/config.ts';
import { JwksIdentityVerifier } from '#adapters/oidc/jwks-identity-verifier/jwks-identity-verifier.ts';
import { CognitoPool } from '#test/peers/moto-cognito.ts';
import { Moto } from '#test/peers/moto.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { renamed, without } from '#test/support/oidc-issuer.ts';
import { cognitoTokens } from './cognito-identity-verifier.ts';
import { cognitoIdentityVerifierConfigSchema } from './config.ts';

let moto: Moto;
let pool: CognitoPool;
beforeAll(async () => {
  moto = await Moto.start();
  pool = await CognitoPool.create(moto);
});
afterAll(() => moto[Symbol.asyncDispose]());

function verifierFor(settings: object = {}): JwksIdentityVerifier {
  const { region, userPoolId, clientId, jwksUri } = pool;
  const tenant = { is: 'akron' };
  const site = { region, userPoolId, clientIds: [clientId], jwksUri, tenant, keysCooldownMs: 0 };
  const config = cognitoIdentityVerifierConfigSchema.parse({ ...site, ...settings });
  return new JwksIdentityVerifier(jwksIdentityVerifierConfigSchema.parse(cognitoTokens(config)));
}

describeContract(
  identityVerifierContract,
  'the keys of Cognito (moto)',
  async () => {
    const verifier = verifierFor({ tenant: { claim: 'custom:tenant' } });
    const nowSeconds = Math.floor(Date.now() / 1000);
    return {
      verifier,
      clockToleranceMs: 30_000,
      validClaims: () => ({
        ...{ iss: verifier.issuer, aud: pool.clientId, sub: 'maria', tenant: 'demo', roles: ['operator'] },
        ...{ iat: nowSeconds, exp: nowSeconds + 600 },
      }),
      sign: (claims) =>
        pool.sign({
          ...without(claims, 'aud', 'tenant', 'roles'),
          ...('aud' in claims && { client_id: claims['aud'] }),
          ...('tenant' in claims && { 'custom:tenant': claims['tenant'] }),
          ...('roles' in claims && { 'cognito:groups': renamed(claims['roles'], (role) => `tribo-${role}`) }),
          token_use: 'access',
        }),
      publicKeys: () => pool.publicKeys(),
      rotate: async () => undefined,
      [Symbol.asyncDispose]: async () => undefined,
    };
  },
  [
    {
      case: 'accepts tokens of a new key after a rotation, and still those of the key before',
      reason: 'moto signs for all pools with one key that it never changes; the case is passed against a local issuer',
    },
  ],
);

describe('a person who signs in at a user pool', () => {
  it('is let in by the access token, with the roles of the groups, and not by the ID token', async () => {
    const { access, id } = await pool.signInNewUser('maria', ['tribo-operator', 'tribo-engineer', 'canteen']);
    const identity = await verifierFor().verify(access);
    expect(identity).toMatchObject({ subject: decodeJwt(access).sub, tenant: 'akron' });
    expect([...identity.roles].sort()).toEqual(['engineer', 'operator']);
    await expect(verifierFor().verify(id)).rejects.toMatchObject({
      code: 'permission_denied',
      message: 'the claim token_use is not "access"',
    });
  });

  it('is refused without a group of this platform, and by the token of another client or pool', async () => {
    const { access } = await pool.signInNewUser('paul', []);
    const denied = { code: 'permission_denied' };
    await expect(verifierFor().verify(access)).rejects.toMatchObject(denied);
    const { access: known } = await pool.signInNewUser('petra', ['tribo-viewer']);
    await verifierFor().verify(known);
    await expect(verifierFor({ clientIds: ['another'] }).verify(known)).rejects.toMatchObject(denied);
    await expect(verifierFor({ userPoolId: 'eu-central-1_other' }).verify(known)).rejects.toMatchObject(denied);
  });
});
