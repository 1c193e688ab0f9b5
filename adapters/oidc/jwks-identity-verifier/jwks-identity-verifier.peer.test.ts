import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { identityVerifierContract } from '#core/contracts/identity-verifier.contract.ts';
import { signInIssuerContract } from '#core/contracts/sign-in-issuer.contract.ts';
import { FormBrowser } from '#test/peers/oidc/form-browser.ts';
import { OidcProvider } from '#test/peers/oidc-provider.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { jwksIdentityVerifierConfigSchema } from './config.ts';
import { JwksIdentityVerifier } from './jwks-identity-verifier.ts';
import { SignInIdentityVerifier } from './sign-in-identity-verifier.ts';

let provider: OidcProvider;
beforeAll(async () => {
  provider = await OidcProvider.start();
});
afterAll(() => provider[Symbol.asyncDispose]());

/** Of a site that knows no more of the provider than its name: keys come by discovery. */
function verifierFor(settings: object = {}): JwksIdentityVerifier {
  const site = { issuer: provider.endpoint, audience: 'api://tribo', tokens: 'at+jwt', keysCooldownMs: 0 };
  const claims = { clientScopes: 'tribo/' };
  return new JwksIdentityVerifier(jwksIdentityVerifierConfigSchema.parse({ ...site, claims, ...settings }));
}

describeContract(identityVerifierContract, 'the keys of oidc-provider, by discovery', async () => {
  const nowSeconds = Math.floor(Date.now() / 1000);
  return {
    verifier: verifierFor(),
    clockToleranceMs: 30_000,
    validClaims: () => ({
      ...{ iss: provider.endpoint, aud: 'api://tribo', sub: 'maria', client_id: 'page' },
      ...{ tenant: 'demo', roles: ['operator'], iat: nowSeconds, exp: nowSeconds + 600 },
    }),
    sign: (claims) => provider.sign(claims),
    publicKeys: () => provider.publicKeys(),
    rotate: () => provider.rotate(),
    [Symbol.asyncDispose]: async () => undefined,
  };
});

describeContract(signInIssuerContract, 'oidc-provider, through its own forms', async () => {
  const redirectUri = 'https://tribo.example/v1/sign-in/company/callback';
  const signedOutUri = 'https://tribo.example/';
  await provider.setRedirectUris(redirectUri);
  await provider.setSignedOutUris(signedOutUri);
  const signIn = { id: 'company', name: 'Example Corp', clientId: 'page', clientSecretName: 'page' };
  const config = jwksIdentityVerifierConfigSchema.parse({
    ...{ issuer: provider.endpoint, audience: 'api://tribo', signIn },
  });
  return {
    issuer: new SignInIdentityVerifier(
      { ...config, signIn: config.signIn! },
      { secrets: { get: async () => 'secret-of-page' } },
    ),
    ...{ redirectUri, signedOutUri },
    answer: async (url, person) =>
      Object.fromEntries((await new FormBrowser().answerOf(new URL(url), person)).searchParams),
    [Symbol.asyncDispose]: async () => undefined,
  };
});

describe('tokens that oidc-provider issues', () => {
  it('to a client that speaks for itself are taken, with the roles that its scopes say', async () => {
    const token = await provider.accessToken('historian', { scope: 'tribo/viewer tribo/ingest other' });
    expect(decodeProtectedHeader(token)).toMatchObject({ typ: 'at+jwt', alg: 'ES256' });
    const identity = await verifierFor().verify(token);
    expect(identity).toMatchObject({ subject: 'historian', tenant: 'demo', roles: ['viewer', 'ingest'] });
    expect(identity.tokenId).toBe(decodeJwt(token).jti);
  });

  it('are taken after it rotated its keys, those of the key before too', async () => {
    const verifier = verifierFor();
    const before = await provider.accessToken('historian', { scope: 'tribo/viewer' });
    await verifier.verify(before);
    await provider.rotate();
    const after = await provider.accessToken('historian', { scope: 'tribo/viewer' });
    expect(decodeProtectedHeader(after).kid).not.toBe(decodeProtectedHeader(before).kid);
    for (const token of [after, before]) expect((await verifier.verify(token)).roles).toEqual(['viewer']);
  });

  it.each([
    ['without a scope of this platform', { scope: 'other' }, {}, 'names no role'],
    ['for another API', { scope: 'tribo/viewer', resource: 'api://another' }, {}, 'the claim aud'],
    ['where the site does not take scopes', { scope: 'tribo/viewer' }, { claims: {} }, 'the claim roles is not a list'],
    ['where ID tokens are wanted', { scope: 'tribo/viewer' }, { tokens: 'id' }, 'another kind of token'],
  ])('%s are refused', async (_what, form, settings, why) => {
    const token = await provider.accessToken('stranger', form);
    await expect(verifierFor(settings).verify(token)).rejects.toMatchObject({
      code: 'permission_denied',
      message: expect.stringContaining(why),
    });
  });

  it('are not believed by a site that calls the issuer by another name', async () => {
    const token = await provider.accessToken('historian', { scope: 'tribo/viewer' });
    const issuer = provider.endpoint.replace('127.0.0.1', 'localhost');
    await expect(verifierFor({ issuer }).verify(token)).rejects.toMatchObject({
      code: 'unavailable',
      cause: { message: expect.stringContaining(`is of the issuer ${provider.endpoint}`) },
    });
  });
});
