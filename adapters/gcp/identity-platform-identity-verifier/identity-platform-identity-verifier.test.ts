import { describe, expect, it } from '@jest/globals';
import { identityVerifierContract } from '#core/contracts/identity-verifier.contract.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { openVerifier } from '#test/support/oidc-issuer.ts';
import { identityPlatformIdentityVerifierConfigSchema } from './config.ts';
import { identityPlatformTokens } from './identity-platform-identity-verifier.ts';

const identityPlatform = (settings: object = {}) =>
  openVerifier(
    identityPlatformTokens(
      identityPlatformIdentityVerifierConfigSchema.parse({ projectId: 'plant-akron', ...settings }),
    ),
    (claims) => ({ ...claims, firebase: { sign_in_provider: 'password' } }),
  );

/** An ID token with custom claims: cloud.google.com/identity-platform/docs/verify-id-tokens and .../how-to-configure-custom-claims. */
const documented = (times: { readonly iat?: unknown; readonly exp?: unknown }) => ({
  ...{ iss: 'https://securetoken.google.com/plant-akron', aud: 'plant-akron', auth_time: times.iat, ...times },
  ...{ sub: 'aBcDeFgHiJkLmNoPqRsTuVwXyZ01', user_id: 'aBcDeFgHiJkLmNoPqRsTuVwXyZ01', email: 'maria@example.com' },
  firebase: { identities: { email: ['maria@example.com'] }, sign_in_provider: 'password' },
  ...{ tenant: 'demo', roles: ['engineer'] },
});

describeContract(identityVerifierContract, 'ID tokens as Identity Platform makes them', () => identityPlatform());

describe('Identity Platform identity verifier', () => {
  it('takes an ID token with the claims that Google documents', async () => {
    await using issuer = await identityPlatform();
    const { iat, exp } = issuer.validClaims();
    const claims = documented({ iat, exp });
    const token = await issuer.signAsIs(claims, { typ: 'JWT' });
    expect(await issuer.verifier.verify(token)).toMatchObject({
      ...{ subject: claims.sub, tenant: 'demo', roles: ['engineer'] },
    });
  });

  it.each([
    ['a token of another project', { aud: 'plant-other' }, 'the claim aud'],
    ['a session cookie, which another issuer signs', { iss: 'https://session.firebase.google.com/plant-akron' }, 'iss'],
    ['a person without custom claims', { roles: undefined, tenant: undefined }, 'the claim roles is not a list'],
  ])('refuses %s', async (_what, change, why) => {
    await using issuer = await identityPlatform();
    const { iat, exp } = issuer.validClaims();
    const token = await issuer.signAsIs({ ...documented({ iat, exp }), ...change });
    await expect(issuer.verifier.verify(token)).rejects.toMatchObject({
      code: 'permission_denied',
      message: expect.stringContaining(why),
    });
  });

  it('may give all who have a token the same tenant', async () => {
    await using issuer = await identityPlatform({ tenant: { is: 'north' } });
    const token = await issuer.sign({ ...issuer.validClaims(), tenant: 'another' });
    expect((await issuer.verifier.verify(token)).tenant).toBe('north');
  });
});
