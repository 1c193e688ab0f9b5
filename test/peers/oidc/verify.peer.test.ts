import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { OidcProvider } from '../oidc-provider.ts';
import { startVerify, verifySite } from '../verify-site.ts';

let provider: OidcProvider;
beforeAll(async () => {
  provider = await OidcProvider.start();
}, 300_000);
afterAll(() => provider[Symbol.asyncDispose]());

const siteOf = (given: object = {}) => ({
  identityVerifiers: { adapter: 'oidc', issuer: provider.endpoint, audience: 'api://tribo', ...given },
});

describe('tribo verify of an issuer of identities', () => {
  it('finds its keys by discovery, and tells by name what it cannot see', async () => {
    const { code, ports } = await verifySite(siteOf());
    expect({ code, ports }).toMatchObject({ code: 0, ports: [{ ok: true, passed: 3, failed: [], problems: [] }] });
    expect(ports[0]!.leftOut).toEqual([
      expect.objectContaining({
        case: 'a token of a person is taken, with tenant and roles',
        reason: expect.stringMatching(/not checked.*by hand: sign in for the audience api:\/\/tribo/),
      }),
    ]);
  }, 120_000);

  it.each([
    [
      'signs by another algorithm',
      () => ({ algorithms: ['EdDSA'] }),
      /EC P-256 ES256 sig\) is for EdDSA: set algorithms/,
    ],
    [
      'calls itself by another name',
      () => ({ issuer: provider.endpoint.replace('127.0.0.1', 'localhost') }),
      /failed_precondition: .* is of the issuer http:\/\/127/,
    ],
    ['is not there', () => ({ issuer: 'http://127.0.0.1:1' }), /unavailable: [^]*-> see that the service runs/],
    [
      'has no keys where the site says',
      () => ({ jwksUri: `${provider.endpoint}/nothing` }),
      /failed_precondition: .*\/nothing answered 404/,
    ],
  ])(
    'fails where the issuer %s, and says so',
    async (_what, change, says) => {
      const { code, stdout } = await startVerify(siteOf(change())).ended;
      expect({ code, stdout }).toEqual({ code: 70, stdout: expect.stringMatching(says) });
    },
    120_000,
  );
});
