import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { cognitoTokens } from '#adapters/aws/cognito-identity-verifier/cognito-identity-verifier.ts';
import { cognitoIdentityVerifierConfigSchema } from '#adapters/aws/cognito-identity-verifier/config.ts';
import { entraIdentityVerifierConfigSchema } from '#adapters/azure/entra-identity-verifier/config.ts';
import { entraTokens } from '#adapters/azure/entra-identity-verifier/entra-identity-verifier.ts';
import type { Claims } from '#core/contracts/identity-verifier.contract.ts';
import type { Identity } from '#core/ports/identity-verifier.ts';
import { signInIssuerContract } from '#core/contracts/sign-in-issuer.contract.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { OidcIssuer, openSignIn } from '#test/support/oidc-issuer.ts';
import { jwksIdentityVerifierConfigSchema, type JwksIdentityVerifierSettings } from './config.ts';
import { SignInIdentityVerifier } from './sign-in-identity-verifier.ts';

const BACK = 'https://tribo.example/v1/sign-in/company/callback';
const PAGE = { id: 'company', name: 'Example Corp', clientId: 'page' };
const APPLICATION = '00001111-aaaa-4222-8bbb-3333cccc4444';
const DIRECTORY = 'aaaabbbb-0000-4ccc-9111-dddd2222eeee';

let keys: OidcIssuer;
beforeAll(async () => {
  keys = await OidcIssuer.open('RS256');
});
afterAll(() => keys[Symbol.asyncDispose]());
beforeEach(() => {
  keys.idToken = undefined;
  keys.answer = undefined;
  keys.requests.length = 0;
});

describeContract(signInIssuerContract, 'a local issuer, by discovery', () =>
  openSignIn(({ issuer }) => ({ issuer, audience: 'api://tribo', signIn: PAGE })),
);

const noSecrets = { get: async () => undefined };

function verifierOf(settings: JwksIdentityVerifierSettings, secrets = noSecrets): SignInIdentityVerifier {
  const { signIn, ...config } = jwksIdentityVerifierConfigSchema.parse(settings);
  return new SignInIdentityVerifier({ ...config, signIn: signIn! }, { secrets });
}

/** As a vendor's, whose keys and token endpoint are on this machine. */
function vendors(settings: JwksIdentityVerifierSettings): SignInIdentityVerifier {
  const signIn = { ...settings.signIn!, tokenEndpoint: `${keys.issuer}/token` };
  return verifierOf({ ...settings, jwksUri: keys.jwksUri, signIn });
}

/** Signs in where the issuer gives an ID token of these claims. */
async function signIn(verifier: SignInIdentityVerifier, claims: Claims, signer = keys): Promise<Identity> {
  const { attempt } = await verifier.beginSignIn(BACK);
  const iat = Math.floor(Date.now() / 1000);
  keys.idToken = await signer.sign({ iat, exp: iat + 600, sub: 'maria', aud: 'page', nonce: attempt.nonce, ...claims });
  return verifier.completeSignIn({ redirectUri: BACK, attempt, parameters: { code: 'any', state: attempt.state } });
}

/** The order of parameters is the library's. */
function sortedQuery(address: string | undefined): string | undefined {
  const url = URL.parse(address ?? '');
  url?.searchParams.sort();
  return url?.href;
}

const own = (more: Partial<JwksIdentityVerifierSettings> = {}, page: object = {}): JwksIdentityVerifierSettings => ({
  ...{ issuer: keys.issuer, audience: 'api://tribo', ...more },
  signIn: { ...PAGE, ...page },
});
const ofDemo = (more: Claims = {}) => ({ iss: keys.issuer, tenant: 'demo', roles: ['operator'], ...more });

describe('signing in', () => {
  const cognito = () =>
    cognitoTokens(
      cognitoIdentityVerifierConfigSchema.parse({
        ...{ region: 'us-east-2', userPoolId: 'us-east-2_AbCdEf123', clientIds: ['machine'], tenant: { is: 'akron' } },
        signIn: { ...PAGE, domain: 'https://plant.auth.us-east-2.amazoncognito.com' },
      }),
    );
  const entra = (version: 1 | 2) =>
    entraTokens(
      entraIdentityVerifierConfigSchema.parse({
        ...{
          directoryId: DIRECTORY,
          audience: version === 1 ? 'api://tribo' : APPLICATION,
          version,
          tenant: { is: 'akron' },
          signIn: PAGE,
        },
      }),
    );
  const pool = 'https://cognito-idp.us-east-2.amazonaws.com/us-east-2_AbCdEf123';
  const directory = `https://login.microsoftonline.com/${DIRECTORY}`;
  const ofPool = { iss: pool, token_use: 'id', 'cognito:groups': ['tribo-operator'] };
  const ofDirectory = { iss: `${directory}/v2.0`, tid: DIRECTORY, oid: 'object-1', roles: ['operator'] };

  it.each([
    ['Cognito', cognito, 'https://plant.auth.us-east-2.amazoncognito.com/oauth2/authorize', ofPool, 'maria'],
    ['Entra ID', () => entra(2), `${directory}/oauth2/v2.0/authorize`, ofDirectory, 'object-1'],
    ['Entra ID with version 1', () => entra(1), `${directory}/oauth2/v2.0/authorize`, ofDirectory, 'object-1'],
  ] as const)(
    'at %s is at its own endpoint, by what its ID tokens say',
    async (_name, settings, place, claims, subject) => {
      const verifier = vendors(settings());
      const { origin, pathname } = new URL((await verifier.beginSignIn(BACK)).url);
      expect(origin + pathname).toBe(place);
      expect(await signIn(verifier, claims)).toMatchObject({ subject, tenant: 'akron', roles: ['operator'] });
    },
  );

  it.each([
    [
      'Cognito',
      cognito,
      'https://plant.auth.us-east-2.amazoncognito.com/logout?client_id=page&logout_uri=https%3A%2F%2Ftribo.example%2F',
    ],
    ...([1, 2] as const).map(
      (version) =>
        [
          `Entra ID with version ${version}`,
          () => entra(version),
          `${directory}/oauth2/v2.0/logout?client_id=page&post_logout_redirect_uri=https%3A%2F%2Ftribo.example%2F`,
        ] as const,
    ),
    [
      'the issuer that says so in its discovery document',
      own,
      () => `${keys.issuer}/sign-out?client_id=page&post_logout_redirect_uri=https%3A%2F%2Ftribo.example%2F`,
    ],
    ['an issuer whose session the site leaves alone', () => own({}, { signOutAtIssuer: false }), undefined],
  ] as const)('ends at %s where it documents that', async (_name, settings, place) => {
    const url = await verifierOf(settings()).signOutUrl('https://tribo.example/');
    expect(sortedQuery(url)).toBe(sortedQuery(typeof place === 'function' ? place() : place));
  });

  it('ends at no other host that nobody has named, while people may sign in', async () => {
    keys.answer = (path, response) => {
      if (!path.endsWith('openid-configuration')) return false;
      const endpoints = {
        authorization_endpoint: `${keys.issuer}/authorize`,
        token_endpoint: `${keys.issuer}/token`,
        end_session_endpoint: 'https://evil.example/sign-out',
      };
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ issuer: keys.issuer, jwks_uri: keys.jwksUri, ...endpoints }));
      return true;
    };
    await expect(verifierOf(own()).signOutUrl(BACK)).resolves.toBeUndefined();
    const named = verifierOf(own({}, { endSessionEndpoint: 'https://out.example/sign-out' }));
    expect(await named.signOutUrl(BACK)).toMatch(/^https:\/\/out\.example\/sign-out\?/);
    expect(await signIn(verifierOf(own()), ofDemo())).toMatchObject({ subject: 'maria' });
  });

  it.each([
    ['an access token of Cognito', cognito, { ...ofPool, token_use: 'access' }],
    ['an ID token of another directory', () => entra(2), { ...ofDirectory, tid: 'another' }],
    ['an ID token without a claim that is required', () => own({ claims: { required: { hd: 'example.com' } } }), {}],
    ['an ID token for nobody in particular', own, { roles: [] }],
  ] as const)('by %s is refused', async (_what, settings, claims) => {
    const verifier = vendors({ ...settings(), signIn: { ...settings().signIn!, authorizationEndpoint: keys.issuer } });
    await expect(signIn(verifier, { ...ofDemo(), ...claims })).rejects.toMatchObject({ code: 'permission_denied' });
  });

  it('takes ID tokens that need other claims than the issuer’s access tokens, where the site says which', async () => {
    const claims = { required: { typ: 'Bearer' }, present: ['azp'] };
    const verifier = verifierOf(own({ claims }, { required: { typ: 'ID' } }));
    expect(await signIn(verifier, ofDemo({ typ: 'ID' }))).toMatchObject({ subject: 'maria', roles: ['operator'] });
  });

  it('by an ID token that somebody else signed is refused', async () => {
    await using stranger = await OidcIssuer.open('RS256');
    await expect(signIn(verifierOf(own()), ofDemo(), stranger)).rejects.toMatchObject({ code: 'permission_denied' });
  });

  it.each([
    ['another client', { aud: 'another' }],
    ['another issuer', { iss: 'https://evil.example' }],
    ['another attempt', { nonce: 'another' }],
    ['yesterday', { exp: 1_000_000 }],
  ])('by an ID token of %s is refused', async (_whose, claims) => {
    await expect(signIn(verifierOf(own()), ofDemo(claims))).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  it('is not begun without the client’s secret, which is told by name', async () => {
    const verifier = verifierOf(own({}, { clientSecretName: 'company-client' }));
    await expect(verifier.beginSignIn(BACK)).rejects.toMatchObject({
      code: 'failed_precondition',
      message: expect.stringContaining('the secret store has no secret company-client'),
    });
  });

  it('goes to no endpoint at another host that nobody has named', async () => {
    keys.answer = (path, response) => {
      if (!path.endsWith('openid-configuration')) return false;
      const elsewhere = {
        authorization_endpoint: `${keys.issuer}/authorize`,
        token_endpoint: 'https://evil.example/token',
      };
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ issuer: keys.issuer, jwks_uri: keys.jwksUri, ...elsewhere }));
      return true;
    };
    await expect(verifierOf(own()).beginSignIn(BACK)).rejects.toMatchObject({
      code: 'failed_precondition',
      message: expect.stringMatching(
        /https:\/\/evil.example\/token: set signIn.authorizationEndpoint and signIn.tokenEndpoint/,
      ),
    });
  });

  it('asks an issuer that fails once for all who come meanwhile', async () => {
    keys.answer = (_path, response) => {
      response.writeHead(503).end();
      return true;
    };
    const verifier = verifierOf(own({ keysRetryMs: 600_000 }));
    const begun = await Promise.allSettled(Array.from({ length: 20 }, () => verifier.beginSignIn(BACK)));
    expect(begun.map((each) => each.status === 'rejected' && (each.reason as { code: string }).code)).toEqual(
      Array.from({ length: 20 }, () => 'unavailable'),
    );
    await expect(verifier.beginSignIn(BACK)).rejects.toMatchObject({ code: 'unavailable' });
    expect(keys.requests).toEqual(['/.well-known/openid-configuration']);
  });

  it.each(['beginSignIn', 'completeSignIn'] as const)(
    '%s rejects a call whose caller has stopped waiting',
    async (call) => {
      const attempt = { state: 'a', nonce: 'b', codeVerifier: 'c'.repeat(43) };
      const answer = { redirectUri: BACK, attempt, parameters: { code: 'any', state: 'a' } };
      const options = { signal: AbortSignal.abort() };
      const verifier = verifierOf(own());
      const asked =
        call === 'beginSignIn' ? verifier.beginSignIn(BACK, options) : verifier.completeSignIn(answer, options);
      await expect(asked).rejects.toMatchObject({ code: 'cancelled' });
      expect(keys.requests).toEqual([]);
    },
  );
});

describe('the configuration of signing in', () => {
  it.each([
    ['scopes without openid', { scopes: ['profile'] }, /must have openid among them/],
    [
      'one endpoint alone',
      { tokenEndpoint: 'https://id.example/token' },
      /both authorizationEndpoint and tokenEndpoint/,
    ],
    ['an id that is none of an address', { id: 'Example Corp' }, /must be 1 to 32 of a-z 0-9 -/],
    ['the secret itself', { clientSecret: 'x' }, /clientSecret/],
    ['an endpoint in clear', { tokenEndpoint: 'http://id.example/token' }, /must be an https address/],
  ])('refuses %s', (_what, page, why) => {
    const { error } = jwksIdentityVerifierConfigSchema.safeParse(own({}, page));
    expect(error?.message).toMatch(why);
  });
});
