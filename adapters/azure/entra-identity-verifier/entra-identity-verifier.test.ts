import { describe, expect, it } from '@jest/globals';
import { identityVerifierContract } from '#core/contracts/identity-verifier.contract.ts';
import { signInIssuerContract } from '#core/contracts/sign-in-issuer.contract.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { openSignIn, openVerifier, renamed, without } from '#test/support/oidc-issuer.ts';
import { entraIdentityVerifierConfigSchema } from './config.ts';
import { entraTokens } from './entra-identity-verifier.ts';

const DIRECTORY = 'aaaabbbb-0000-cccc-1111-dddd2222eeee';
const APPLICATION = '00001111-aaaa-2222-bbbb-3333cccc4444';
const OPERATORS = '0a1b2c3d-0000-4000-8000-000000000001';
const GROUPS = { [OPERATORS]: 'operator', 'of-viewers': 'viewer' };

const entra = (version: 1 | 2, groups?: Readonly<Record<string, string>>) =>
  openVerifier(
    entraTokens(
      entraIdentityVerifierConfigSchema.parse({
        ...{ directoryId: DIRECTORY, audience: APPLICATION, version, tenant: { claim: 'extension_tenant' } },
        ...(groups && { groups }),
      }),
    ),
    (claims) => ({
      ...without(claims, 'tenant', ...(groups ? ['roles'] : [])),
      ...('sub' in claims && { oid: claims['sub'], sub: claims['sub'] === '' ? '' : 'pairwise' }),
      ...('tenant' in claims && { extension_tenant: claims['tenant'] }),
      ...(groups &&
        'roles' in claims && {
          groups: renamed(claims['roles'], (role) => Object.keys(groups).find((id) => groups[id] === role) ?? role),
        }),
      ...{ tid: DIRECTORY, [version === 1 ? 'appid' : 'azp']: 'of-a-client' },
    }),
  );

/** A version 2 access token with the claims of learn.microsoft.com/entra/identity-platform/access-token-claims-reference. */
const documented = (times: { readonly iat?: unknown; readonly exp?: unknown }) => ({
  ...{ aud: APPLICATION, iss: `https://login.microsoftonline.com/${DIRECTORY}/v2.0`, tid: DIRECTORY, ver: '2.0' },
  ...{ iat: times.iat, nbf: times.iat, exp: times.exp, aio: 'AXQAi', rh: '0.ARoA', uti: 'gcjtkQ' },
  ...{ azp: '11112222-bbbb-3333-cccc-4444dddd5555', azpacr: '0', scp: 'access_as_user', roles: ['operator'] },
  ...{ oid: 'aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb', sub: 'HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ' },
  ...{ name: 'Abe Lincoln', preferred_username: 'abeli@microsoft.com', extension_tenant: 'demo' },
});

describeContract(identityVerifierContract, 'access tokens as Entra makes them, version 2', () => entra(2));
describeContract(identityVerifierContract, 'access tokens as Entra makes them, version 1, by groups', () =>
  entra(1, GROUPS),
);

/** https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference */
describeContract(signInIssuerContract, 'ID tokens as Entra makes them, at its own endpoints but that for codes', () =>
  openSignIn(
    entraTokens(
      entraIdentityVerifierConfigSchema.parse({
        ...{ directoryId: DIRECTORY, audience: APPLICATION, tenant: { claim: 'extension_tenant' } },
        signIn: { id: 'entra', name: 'Microsoft', clientId: APPLICATION },
      }),
    ),
    (claims) => ({
      ...without(claims, 'tenant'),
      ...{ oid: claims['sub'], sub: 'pairwise', tid: DIRECTORY, extension_tenant: claims['tenant'], ver: '2.0' },
    }),
  ),
);

describe('Entra identity verifier', () => {
  it('takes an access token with the claims that Microsoft documents, and knows a person by the oid', async () => {
    await using issuer = await entra(2);
    const claims = documented(issuer.validClaims());
    const token = await issuer.signAsIs(claims, { typ: 'JWT', x5t: 'H9nj5AOSswMphg1SFx7jaV-lB9w' });
    expect(await issuer.verifier.verify(token)).toMatchObject({
      ...{ subject: claims.oid, tenant: 'demo', roles: ['operator'] },
    });
  });

  it('takes the token of an application that speaks for itself: app roles, and no scp', async () => {
    await using issuer = await entra(2);
    const claims = without(documented(issuer.validClaims()), 'scp', 'name', 'preferred_username');
    const token = await issuer.signAsIs({ ...claims, sub: claims['oid'], idtyp: 'app', roles: ['ingest'] });
    expect((await issuer.verifier.verify(token)).roles).toEqual(['ingest']);
  });

  it.each([
    ['a token of another directory', { tid: OPERATORS }, 'the claim tid'],
    [
      'a token of another directory by its issuer',
      { iss: `https://login.microsoftonline.com/${OPERATORS}/v2.0` },
      'iss',
    ],
    ['an ID token of the same application, which has no azp', { azp: undefined, nonce: 'n' }, 'lacks the claim azp'],
    ['a token for another application', { aud: 'api://another' }, 'the claim aud'],
    ['scopes in the place of roles', { roles: undefined, scp: 'admin' }, 'the claim roles is not a list'],
  ])('refuses %s', async (_what, change, why) => {
    await using issuer = await entra(2);
    const token = await issuer.signAsIs({ ...documented(issuer.validClaims()), ...change });
    await expect(issuer.verifier.verify(token)).rejects.toMatchObject({
      code: 'permission_denied',
      message: expect.stringContaining(why),
    });
  });

  it('takes a token with the 200 groups that Entra puts in at most', async () => {
    await using issuer = await entra(1, GROUPS);
    const many = Array.from(
      { length: 199 },
      (_, index) => `0a1b2c3d-0000-4000-9000-${String(index).padStart(12, '0')}`,
    );
    const { iat, exp, aud, iss } = issuer.validClaims();
    const { extension_tenant, oid, tid, sub } = documented({});
    const claims = {
      iat,
      exp,
      aud,
      iss,
      extension_tenant,
      oid,
      tid,
      sub,
      appid: 'client',
      groups: [...many, OPERATORS],
    };
    expect((await issuer.verifier.verify(await issuer.signAsIs(claims))).roles).toEqual(['operator']);
  });

  it.each([
    ['api://tribo', 1, true],
    [APPLICATION, 1, true],
    [APPLICATION, 2, true],
    ['api://tribo', 2, false],
  ])('has the audience %s for tokens of version %i: %s', (audience, version, isTaken) => {
    const settings = { directoryId: DIRECTORY, audience, version, tenant: { is: 'north' } };
    expect(entraIdentityVerifierConfigSchema.safeParse(settings).success).toBe(isTaken);
  });
});
