import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { signInIssuersOf } from '#adapters/oidc/issuer-verifiers.ts';
import { jwksIdentityVerifierConfigSchema } from '#adapters/oidc/jwks-identity-verifier/config.ts';
import { SignInIdentityVerifier } from '#adapters/oidc/jwks-identity-verifier/sign-in-identity-verifier.ts';
import { PortError } from '#core/errors.ts';
import { GatewayPlatform, NORTH, type Answer } from '#test/support/gateway-platform.ts';
import { OidcIssuer } from '#test/support/oidc-issuer.ts';
import type { ApiGatewaySettings } from './config.ts';
import type { Session, SignedOut } from './schemas/access.ts';
import type { ApiGatewayDependencies } from './services.ts';

let company: OidcIssuer;
let platform: GatewayPlatform;
beforeAll(async () => {
  company = await OidcIssuer.open();
  platform = await open();
});
afterAll(async () => {
  await platform[Symbol.asyncDispose]();
  await company[Symbol.asyncDispose]();
});

/** A gateway whose people sign in at the company's issuer. */
function open(settings: ApiGatewaySettings = {}, more: Partial<ApiGatewayDependencies> = {}): Promise<GatewayPlatform> {
  const { signIn, ...config } = jwksIdentityVerifierConfigSchema.parse({
    ...{ issuer: company.issuer, audience: 'api://tribo' },
    signIn: { id: 'company', name: 'Example Corp', clientId: 'page' },
  });
  return GatewayPlatform.start(settings, (dependencies) => ({
    ...dependencies,
    signInIssuers: signInIssuersOf([
      new SignInIdentityVerifier({ ...config, signIn: signIn! }, { secrets: dependencies.secrets }),
    ]),
    ...more,
  }));
}

const get = (path: string, cookie = '', at = platform) => at.call('nobody', 'GET', path, { headers: { cookie } });
const problemOf = ({ status, headers }: Answer) => [status, headers.get('location'), headers.get('set-cookie')];
const toldAs = (type: string) => [303, `/sign-in?problem=${type}`, null];

async function begin(at = platform) {
  const { headers } = await get('/v1/sign-in/company', '', at);
  const { searchParams } = new URL(headers.get('location')!);
  const cookie = headers.get('set-cookie')!.split(';', 1)[0]!;
  return { cookie, state: searchParams.get('state')!, nonce: searchParams.get('nonce')! };
}

/** Comes back from the issuer, which has let maria in. */
async function comeBack({ cookie, state, nonce }: Awaited<ReturnType<typeof begin>>, at = platform): Promise<Answer> {
  const iat = Math.floor(Date.now() / 1000);
  const claims = { iss: company.issuer, aud: 'page', sub: 'maria', tenant: NORTH, roles: ['operator'], nonce };
  company.idToken = await company.sign({ ...claims, iat, exp: iat + 600 });
  return get(`/v1/sign-in/company/callback?code=any&session_state=x&state=${state}`, cookie, at);
}

async function sessionOf({ headers }: Answer): Promise<{ readonly cookie: string; readonly csrfToken: string }> {
  const cookie = headers.getSetCookie()[0]!.split(';', 1)[0]!;
  return { cookie, csrfToken: ((await get('/v1/session', cookie)).json as Session).csrfToken };
}

function signOut({ cookie, csrfToken }: Awaited<ReturnType<typeof sessionOf>>, at = platform): Promise<Answer> {
  return at.call('nobody', 'DELETE', '/v1/session', { headers: { cookie, 'x-csrf-token': csrfToken } });
}

describe('the issuers of a site', () => {
  it('are told to whoever would sign in, by id and name alone', async () => {
    expect((await get('/v1/sign-in-issuers')).json).toEqual({ issuers: [{ id: 'company', name: 'Example Corp' }] });
    await using none = await GatewayPlatform.start();
    expect((await get('/v1/sign-in-issuers', '', none)).json).toEqual({ issuers: [] });
  });

  it('have an id each', () => {
    const config = jwksIdentityVerifierConfigSchema.parse({
      ...{ issuer: company.issuer, audience: 'api://tribo', signIn: { id: 'same', name: 'Same', clientId: 'page' } },
    });
    const verifier = new SignInIdentityVerifier({ ...config, signIn: config.signIn! }, platform.dependencies);
    expect(() => signInIssuersOf([verifier, verifier])).toThrow(/two .* have the signIn.id same: give each its own/);
  });
});

describe('a sign-in', () => {
  it('gives a session of the person, for no longer than the issuer’s sessions last', async () => {
    const { status, headers } = await comeBack(await begin());
    expect([status, headers.get('location')]).toEqual([303, '/']);
    const [session = '', attempt] = headers.getSetCookie();
    expect(session).toMatch(/^tribo_session=[^;]+; Max-Age=43200; Path=\/; HttpOnly; SameSite=Strict$/);
    expect(attempt).toMatch(/^tribo_sign_in=; Max-Age=0;/);
    const who = (await get('/v1/session', session.split(';', 1)[0])).json as Session;
    expect(who).toMatchObject({ subject: `maria@${company.issuer.slice('http://'.length)}`, roles: ['operator'] });
    expect(who.expiresMs).toBeLessThanOrEqual(Date.now() + 43_200_000);
  });

  it('that is over goes on to where the issuer ends its own, which sends the browser back to the page', async () => {
    const session = await sessionOf(await comeBack(await begin()));
    const { status, json, headers } = await signOut(session);
    expect(status).toBe(200);
    const { origin, pathname, searchParams } = new URL((json as SignedOut).issuerSignOutUrl!);
    expect(origin + pathname).toBe(`${company.issuer}/sign-out`);
    expect(Object.fromEntries(searchParams)).toEqual({
      client_id: 'page',
      post_logout_redirect_uri: new URL('/', platform.gateway.url).href,
    });
    expect(headers.get('set-cookie')).toMatch(/^tribo_session=; Max-Age=0;/);
    expect((await get('/v1/session', session.cookie)).status).toBe(401);
  });

  it('is over here also while the issuer does not say where its own ends', async () => {
    const session = await sessionOf(await comeBack(await begin()));
    const signOutUrl = () => Promise.reject(new PortError('unavailable', 'the issuer is away'));
    const [issuer] = platform.dependencies.signInIssuers!;
    const { secrets, checkpoints } = platform.dependencies;
    await using away = await open({}, { secrets, checkpoints, signInIssuers: [{ ...issuer!, signOutUrl }] });
    const { status, json } = await signOut(session, away);
    expect([status, json]).toEqual([200, {}]);
    expect((await get('/v1/session', session.cookie, away)).status).toBe(401);
  });

  it('has cookies of the host alone where people come by TLS', async () => {
    await using behind = await open({ publicUrl: 'https://tribo.example' });
    const { headers } = await get('/v1/sign-in/company', '', behind);
    expect(headers.get('set-cookie')).toMatch(
      /^__Host-tribo_sign_in=[^;]+;.* Path=\/; HttpOnly; Secure; SameSite=Lax$/,
    );
    const redirectUri = new URL(headers.get('location')!).searchParams.get('redirect_uri');
    expect(redirectUri).toBe('https://tribo.example/v1/sign-in/company/callback');
  });

  it('that cannot be recorded in the audit trail gives no session', async () => {
    const { auditTrail } = platform.dependencies;
    const full = Object.assign(Object.create(auditTrail) as typeof auditTrail, {
      begin: () => Promise.reject(new PortError('unavailable', 'the disk is full')),
    });
    await using unrecorded = await open({}, { auditTrail: full });
    expect(problemOf(await comeBack(await begin(unrecorded), unrecorded))).toEqual(toldAs('unavailable'));
  });

  it.each([
    'https://evil.example',
    '//evil.example',
    '/\\evil.example',
    '/%2F/evil.example',
    'javascript:alert(1)',
    '/v1/session',
    '/#/alarms\r\nSet-Cookie: x=y',
    `/#${'x'.repeat(600)}`,
  ])('that would go on at %j is not begun (open redirect)', async (returnTo) => {
    const answer = await get(`/v1/sign-in/company?returnTo=${encodeURIComponent(returnTo)}`);
    expect(problemOf(answer)).toEqual(toldAs('invalid-request'));
  });

  it.each(['/v1/sign-in/nobody', '/v1/sign-in/nobody/callback?code=x&state=y'])(
    'at an issuer that the site has not, %s, is told',
    async (path) => {
      expect(problemOf(await get(path))).toEqual(toldAs('not-found'));
    },
  );

  it.each<[what: string, forge: (cookie: string) => string]>([
    ['no cookie', () => ''],
    [
      'a cookie whose content was changed',
      (cookie) => cookie.replace(/=(.)/, (_all, first) => `=${first === 'A' ? 'B' : 'A'}`),
    ],
    ['a cookie without a seal', (cookie) => cookie.replace(/\..*/, '')],
    ['a seal alone', () => 'tribo_sign_in=.x'],
    ['what is no cookie of ours', () => 'tribo_sign_in=x.y.z'],
  ])('that comes back with %s is refused', async (_what, forge) => {
    const { cookie, state, nonce } = await begin();
    expect(problemOf(await comeBack({ cookie: forge(cookie), state, nonce }))).toEqual(
      toldAs('sign-in-attempt-invalid'),
    );
  });

  it('that comes back with the seal of a session is refused', async () => {
    const begun = await begin();
    const [session = ''] = (await comeBack(begun)).headers.getSetCookie();
    const cookie = session.split(';', 1)[0]!.replace('tribo_session', 'tribo_sign_in');
    expect(problemOf(await comeBack({ ...begun, cookie }))).toEqual(toldAs('sign-in-attempt-invalid'));
    const asSession = begun.cookie.replace('tribo_sign_in', 'tribo_session');
    expect((await get('/v1/session', asSession)).status).toBe(401);
  });

  it.each(['code', 'state', 'iss', 'error'])('that comes back with two of %s is refused', async (name) => {
    const { cookie, state } = await begin();
    const path = `/v1/sign-in/company/callback?code=any&state=${state}&${name}=x&${name}=y`;
    expect(problemOf(await get(path, cookie))).toEqual(toldAs('invalid-request'));
  });

  it('while the issuer is away is told so', async () => {
    const begun = await begin();
    company.answer = (_path, response) => {
      response.writeHead(502).end();
      return true;
    };
    await using cold = await open();
    expect(problemOf(await get('/v1/sign-in/company', '', cold))).toEqual(toldAs('sign-in-unavailable'));
    expect(problemOf(await comeBack(begun))).toEqual(toldAs('sign-in-unavailable'));
    company.answer = undefined;
    expect((await comeBack(begun)).headers.get('location')).toBe('/');
  });

  it('is brought back no more often than an address may try', async () => {
    await using strict = await open({ rateLimits: { failuresPerAddress: 3 } });
    const tries: unknown[] = [];
    for (let n = 0; n < 4; n++)
      tries.push((await get('/v1/sign-in/company/callback?code=x', '', strict)).headers.get('location'));
    expect(tries).toEqual([
      ...Array.from({ length: 3 }, () => '/sign-in?problem=sign-in-attempt-invalid'),
      '/sign-in?problem=rate-limited',
    ]);
  });
});
