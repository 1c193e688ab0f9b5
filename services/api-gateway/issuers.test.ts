import { expect, it } from '@jest/globals';
import { verifierOf } from '#adapters/oidc/issuer-verifiers.ts';
import { jwksIdentityVerifierConfigSchema } from '#adapters/oidc/jwks-identity-verifier/config.ts';
import { JwksIdentityVerifier } from '#adapters/oidc/jwks-identity-verifier/jwks-identity-verifier.ts';
import type { IssuerVerifier } from '#core/ports/identity-verifier.ts';
import { GatewayPlatform, NORTH } from '#test/support/gateway-platform.ts';
import { OidcIssuer } from '#test/support/oidc-issuer.ts';

it('takes tokens of the site’s own issuer and of the one that it is told, and tells why it refuses a third', async () => {
  await using company = await OidcIssuer.open();
  await using stranger = await OidcIssuer.open();
  const settings = { issuer: company.issuer, audience: 'api://tribo' };
  const ofCompany = new JwksIdentityVerifier(jwksIdentityVerifierConfigSchema.parse(settings));
  await using platform = await GatewayPlatform.start({}, (dependencies) => ({
    ...dependencies,
    verifier: verifierOf([dependencies.verifier as IssuerVerifier, ofCompany]),
  }));
  const iat = Math.floor(Date.now() / 1000);
  const claims = { aud: 'api://tribo', sub: 'maria', tenant: NORTH, roles: ['operator'], iat, exp: iat + 600 };
  const callAs = async (issuer: OidcIssuer) => {
    const authorization = `Bearer ${await issuer.sign({ ...claims, iss: issuer.issuer })}`;
    return platform.call('nobody', 'GET', '/v1/machines', { headers: { authorization } });
  };
  expect((await platform.call('viewer', 'GET', '/v1/machines')).status).toBe(200);
  expect(await callAs(company)).toMatchObject({ status: 200, text: expect.stringContaining('press-7') });
  expect(await callAs(stranger)).toMatchObject({
    status: 401,
    json: { detail: `The bearer token is refused: its issuer "${stranger.issuer}" is none that this site trusts.` },
  });
});
