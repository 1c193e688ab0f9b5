import { describe, expect, it } from '@jest/globals';
import { OidcIssuer } from '#test/support/oidc-issuer.ts';
import { verifierOf } from './issuer-verifiers.ts';
import { jwksIdentityVerifierConfigSchema } from './jwks-identity-verifier/config.ts';
import { JwksIdentityVerifier } from './jwks-identity-verifier/jwks-identity-verifier.ts';

function verifierFor({ issuer }: { readonly issuer: string }): JwksIdentityVerifier {
  return new JwksIdentityVerifier(jwksIdentityVerifierConfigSchema.parse({ issuer, audience: 'tribo' }));
}

function claimsOf({ issuer }: { readonly issuer: string }) {
  const iat = Math.floor(Date.now() / 1000);
  return { iss: issuer, aud: 'tribo', sub: 'maria', tenant: 'demo', roles: ['operator'], iat, exp: iat + 600 };
}

const denied = (why: string) => ({ code: 'permission_denied', message: expect.stringContaining(why) });

describe('a site that trusts several issuers', () => {
  it('has a token judged by the issuer that it names', async () => {
    await using local = await OidcIssuer.open();
    await using company = await OidcIssuer.open();
    const verifier = verifierOf([verifierFor(local), verifierFor(company)]);
    for (const issuer of [local, company]) {
      const token = await issuer.sign({ ...claimsOf(issuer), jti: issuer.issuer });
      expect((await verifier.verify(token)).tokenId).toBe(issuer.issuer);
    }
  });

  it('tells apart people of one name by their issuer, but for those of its own', async () => {
    await using local = await OidcIssuer.open();
    await using company = await OidcIssuer.open();
    const verifier = verifierOf([verifierFor(local), verifierFor(company)]);
    const subjects = [local, company].map(
      async (issuer) => (await verifier.verify(await issuer.sign(claimsOf(issuer)))).subject,
    );
    expect(await Promise.all(subjects)).toEqual(['maria', `maria@${new URL(company.issuer).host}`]);
  });

  it('lets no issuer speak for another, whichever signs', async () => {
    await using local = await OidcIssuer.open();
    await using company = await OidcIssuer.open();
    const verifier = verifierOf([verifierFor(local), verifierFor(company)]);
    for (const [signer, named] of [
      [local, company],
      [company, local],
    ] as const)
      await expect(verifier.verify(await signer.sign(claimsOf(named)))).rejects.toMatchObject(
        denied('the signature is wrong'),
      );
  });

  it('refuses a token of an issuer that it does not know, says which, and asks nobody for keys', async () => {
    await using local = await OidcIssuer.open();
    await using company = await OidcIssuer.open();
    await using stranger = await OidcIssuer.open();
    const verifier = verifierOf([verifierFor(local), verifierFor(company)]);
    const refusal = verifier.verify(await stranger.sign(claimsOf(stranger)));
    await expect(refusal).rejects.toMatchObject(
      denied(`its issuer "${stranger.issuer}" is none that this site trusts`),
    );
    const long = verifier.verify(await stranger.sign({ ...claimsOf(stranger), iss: `https://${'x'.repeat(5000)}` }));
    await expect(long).rejects.toMatchObject({ message: expect.stringMatching(/^.{200,300}$/) });
    expect([...local.requests, ...company.requests, ...stranger.requests]).toEqual([]);
  });

  it.each([
    ['no token', 'abc'],
    ['one without an issuer', `e30.${Buffer.from('{"sub":"x"}').toString('base64url')}.x`],
    ['one whose issuer is no text', `e30.${Buffer.from('{"iss":["x"]}').toString('base64url')}.x`],
    ['a huge one', `e30.${'x'.repeat(100_000)}.x`],
  ])('refuses %s', async (_what, token) => {
    const verifier = verifierOf(
      ['https://one.example', 'https://two.example'].map((issuer) => verifierFor({ issuer })),
    );
    await expect(verifier.verify(token)).rejects.toMatchObject({ code: 'permission_denied' });
  });

  it('may name an issuer once', () => {
    const twice = [verifierFor({ issuer: 'https://one.example' }), verifierFor({ issuer: 'https://one.example' })];
    expect(() => verifierOf(twice)).toThrow(
      "two of the site's identityVerifiers are of the issuer https://one.example",
    );
  });
});
