import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { OidcIssuer } from '#test/support/oidc-issuer.ts';
import { verifyIssuer } from './issuer-verification.ts';
import { jwksIdentityVerifierConfigSchema } from './jwks-identity-verifier/config.ts';

let issuer: OidcIssuer;
beforeEach(async () => {
  issuer = await OidcIssuer.open();
});
afterEach(() => issuer[Symbol.asyncDispose]());

/** Runs the check of clocks, with the issuer's differing by so long. */
async function compareClocks(byMs: number | undefined): Promise<void> {
  issuer.answer = (_path, response) => {
    if (byMs === undefined) response.sendDate = false;
    else response.setHeader('date', new Date(Date.now() + byMs).toUTCString());
    return false;
  };
  const settings = { issuer: issuer.issuer, audience: 'tribo', clockToleranceMs: 30_000 };
  const { contracts } = await verifyIssuer(jwksIdentityVerifierConfigSchema.parse(settings));
  await contracts[0]!.cases.find(({ name }) => name.startsWith('the clocks'))!.run();
}

describe("an issuer's clock", () => {
  it.each([0, 20_000, -20_000])('is good %d ms from that of this machine', async (byMs) => {
    await expect(compareClocks(byMs)).resolves.toBeUndefined();
  });

  it.each([90_000, -90_000])('is told of where it is %d ms from it', async (byMs) => {
    await expect(compareClocks(byMs)).rejects.toMatchObject({
      ...{ code: 'failed_precondition', message: expect.stringContaining('more than the clockToleranceMs of 30000') },
    });
  });

  it('is told of as not checked where its answers do not say it', async () => {
    await expect(compareClocks(undefined)).rejects.toMatchObject({ name: 'Unchecked' });
  });
});
