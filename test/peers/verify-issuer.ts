import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  jwksIdentityVerifierConfigSchema,
  type JwksIdentityVerifierSettings,
} from '#adapters/oidc/jwks-identity-verifier/config.ts';
import { verifyIssuer } from '#adapters/oidc/issuer-verification.ts';
import { OidcIssuer } from '#test/support/oidc-issuer.ts';
import { verifyNow } from './verify-site.ts';

/**
 * What `tribo verify` looks at of a cloud's issuer, with its keys on this machine: those of the cloud have one place, which no setting changes, so
 * that the command itself cannot ask another.
 */
export function describeIssuerLooks(name: string, settingsOf: () => JwksIdentityVerifierSettings): void {
  describe(`tribo verify of ${name}`, () => {
    let keys: OidcIssuer;
    let ofAnotherAlgorithm: OidcIssuer;
    beforeAll(async () => {
      keys = await OidcIssuer.open('RS256');
      ofAnotherAlgorithm = await OidcIssuer.open('ES256');
    });
    afterAll(async () => {
      await keys[Symbol.asyncDispose]();
      await ofAnotherAlgorithm[Symbol.asyncDispose]();
    });

    const look = (jwksUri: string) =>
      verifyNow(() => verifyIssuer(jwksIdentityVerifierConfigSchema.parse({ ...settingsOf(), jwksUri })));

    it('finds the key that it signs by, and compares the clocks', async () => {
      expect(await look(keys.jwksUri)).toMatchObject({ ok: true, passed: 2, failed: [], problems: [] });
    });

    it.each([
      ['it has no keys there', () => `${keys.issuer}/nothing`, /failed_precondition: .*answered 404/],
      ['it signs in another way', () => ofAnotherAlgorithm.jwksUri, /failed_precondition: .*is for RS256/],
      ['nobody answers', () => 'http://127.0.0.1:1/keys', /^unavailable: /],
    ])('fails where %s, and says so', async (_what, place, says) => {
      const { ok, failed } = await look(place());
      expect({ ok, problem: failed[0]?.problem }).toEqual({ ok: false, problem: expect.stringMatching(says) });
    });
  });
}
