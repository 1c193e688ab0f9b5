import { request, type IncomingMessage } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { signInIssuersOf } from '#adapters/oidc/issuer-verifiers.ts';
import { jwksIdentityVerifierConfigSchema } from '#adapters/oidc/jwks-identity-verifier/config.ts';
import { SignInIdentityVerifier } from '#adapters/oidc/jwks-identity-verifier/sign-in-identity-verifier.ts';
import type { TenantId } from '#core/domain/ids.ts';
import type { SecretStore } from '#core/ports/secret-store.ts';
import type { Session, SignedOut } from '#services/api-gateway/schemas/access.ts';
import type { AuditEntryView } from '#services/api-gateway/schemas/audit.ts';
import { createLogger } from '#services/shared/observability/logger.ts';
import { GatewayPlatform } from '#test/support/gateway-platform.ts';
import { OidcProvider } from '../oidc-provider.ts';
import { FormBrowser } from './form-browser.ts';

const DEMO = 'demo' as TenantId;
const SESSION = 'tribo_session';
const ATTEMPT = 'tribo_sign_in';

let company: OidcProvider;
let supplier: OidcProvider;
let platform: GatewayPlatform;
let skewMs = 0;
let logged: string[] = [];

beforeAll(async () => {
  [company, supplier] = await Promise.all([OidcProvider.start(), OidcProvider.start()]);
  platform = await GatewayPlatform.start({ rateLimits: { failuresPerAddress: 1000 } }, (dependencies) => ({
    ...dependencies,
    clock: { nowMs: () => Date.now() + skewMs, monotonicMs: () => performance.now() },
    logger: createLogger({ service: 'test', level: 'info', destination: { write: (line) => void logged.push(line) } }),
    signInIssuers: signInIssuersOf([
      verifierOf(company, 'company', dependencies.secrets),
      verifierOf(supplier, 'supplier', dependencies.secrets),
      verifierOf(company, 'mistaken', dependencies.secrets),
    ]),
  }));
  const { secrets } = platform.dependencies;
  for (const name of ['company', 'supplier']) await secrets.put(`${name}-client`, 'secret-of-page\n');
  await secrets.put('mistaken-client', 'secret-of-another');
  for (const provider of [company, supplier])
    await provider.setRedirectUris(...['company', 'supplier', 'mistaken'].map((id) => callback(id).href));
}, 300_000);

afterAll(async () => {
  await platform[Symbol.asyncDispose]();
  await Promise.all([company[Symbol.asyncDispose](), supplier[Symbol.asyncDispose]()]);
});

beforeEach(() => {
  skewMs = 0;
  logged = [];
});

function verifierOf({ endpoint }: OidcProvider, id: string, secrets: SecretStore): SignInIdentityVerifier {
  const signIn = { id, name: id, clientId: 'page', clientSecretName: `${id}-client` };
  const config = jwksIdentityVerifierConfigSchema.parse({ issuer: endpoint, audience: 'api://tribo', signIn });
  return new SignInIdentityVerifier({ ...config, signIn: config.signIn! }, { secrets });
}

const place = (path: string) => new URL(path, platform.gateway.url);
const callback = (id: string) => place(`/v1/sign-in/${id}/callback`);

/** Where the gateway sends the browser to sign in. */
async function begin(browser: FormBrowser, id = 'company', query = ''): Promise<URL> {
  const { status, to } = await browser.visit(place(`/v1/sign-in/${id}${query}`));
  expect(status).toBe(303);
  return to!;
}

/** What the issuer answers by the browser, which has not brought it yet. */
async function answerFor(browser: FormBrowser, person = 'maria', id = 'company'): Promise<URL> {
  return browser.answerOf(await begin(browser, id), person);
}

/** Where the answer leads to at the page, and whether there is a session then. */
async function bring(
  browser: FormBrowser,
  answer: URL,
): Promise<{ readonly at: string; readonly hasSession: boolean }> {
  const { status, to } = await browser.visit(answer);
  expect(status).toBe(303);
  const hasSession = browser.cookie(platform.gateway.url, SESSION) !== undefined;
  return { at: to!.href.slice(platform.gateway.url.length), hasSession };
}

const refusedAs = (type: string) => ({ at: `/sign-in?problem=${type}`, hasSession: false });
const NOT_OF_THIS_ATTEMPT = refusedAs('sign-in-attempt-invalid');

describe('signing in by the company’s issuer', () => {
  it('gives the page a session of the person, with tenant and roles of the claims, until they sign out', async () => {
    const browser = new FormBrowser();
    expect(await bring(browser, await answerFor(browser))).toEqual({ at: '/', hasSession: true });
    const cookie = `${SESSION}=${browser.cookie(platform.gateway.url, SESSION)}`;
    const { json } = await platform.call('nobody', 'GET', '/v1/session', { headers: { cookie } });
    const subject = `maria@${company.endpoint.replace('http://', '')}`;
    expect(json as Session).toMatchObject({ subject, tenant: DEMO, roles: ['operator'] });
    expect(browser.cookie(platform.gateway.url, ATTEMPT)).toBeUndefined();

    const { items } = (await platform.call('admin', 'GET', '/v1/audit', {}, DEMO)).json as {
      items: readonly AuditEntryView[];
    };
    expect(items).toContainEqual(expect.objectContaining({ action: 'session.begin', actor: subject, outcome: 'done' }));

    const headers = { cookie, 'x-csrf-token': (json as Session).csrfToken };
    const signedOut = await platform.call('nobody', 'DELETE', '/v1/session', { headers });
    const { origin, pathname, searchParams } = new URL((signedOut.json as SignedOut).issuerSignOutUrl!);
    expect([signedOut.status, origin + pathname]).toEqual([200, `${company.endpoint}/session/end`]);
    expect(Object.fromEntries(searchParams)).toEqual({
      client_id: 'page',
      post_logout_redirect_uri: place('/').href,
    });
    expect((await platform.call('nobody', 'GET', '/v1/session', { headers })).status).toBe(401);
  });

  it('goes on where the person was', async () => {
    const browser = new FormBrowser();
    const returnTo = '/#/machines/akron/press-7';
    const answer = await browser.answerOf(
      await begin(browser, 'company', `?returnTo=${encodeURIComponent(returnTo)}`),
      'asha',
    );
    expect(await bring(browser, answer)).toEqual({ at: returnTo, hasSession: true });
  });

  it('may be begun at one replica and ended at another', async () => {
    const { secrets, checkpoints, signInIssuers } = platform.dependencies;
    await using other = await GatewayPlatform.start({ publicUrl: platform.gateway.url }, (dependencies) => ({
      ...{ ...dependencies, secrets, checkpoints, signInIssuers: signInIssuers! },
    }));
    const browser = new FormBrowser();
    const { pathname, search } = await answerFor(browser);
    const cookie = `${ATTEMPT}=${browser.cookie(platform.gateway.url, ATTEMPT)}`;
    const { status, headers } = await other.call('nobody', 'GET', pathname + search, { headers: { cookie } });
    expect([status, headers.get('location')]).toEqual([303, '/']);
    expect(headers.getSetCookie()).toContainEqual(expect.stringMatching(/^tribo_session=[^;]+;.*SameSite=Strict/));
  });

  it('asks for the code by PKCE, with state and nonce, and for the one redirect URI whatever Host says', async () => {
    const askAs = (host: string) =>
      new Promise<IncomingMessage>((resolve, reject) => {
        request(place('/v1/sign-in/company'), { headers: { host } }, resolve).on('error', reject).end();
      });
    expect((await askAs('evil.example')).statusCode).toBe(421);
    const { headers } = await askAs('10.9.8.7');
    const { origin, searchParams } = new URL(headers.location!);
    expect(origin).toBe(company.endpoint);
    expect(Object.fromEntries(searchParams)).toEqual({
      ...{ client_id: 'page', response_type: 'code', scope: 'openid profile', redirect_uri: callback('company').href },
      ...{ code_challenge: expect.stringMatching(/^[\w-]{43}$/), code_challenge_method: 'S256' },
      ...{ state: expect.stringMatching(/^[\w-]{43}$/), nonce: expect.stringMatching(/^[\w-]{43}$/) },
    });
    expect(headers['set-cookie']).toEqual([
      expect.stringMatching(/^tribo_sign_in=[^;]+; Max-Age=600; Path=\/; HttpOnly; SameSite=Lax$/),
    ]);
  });
});

describe('who is not signed in', () => {
  it('has no role here: told so, without a session', async () => {
    const browser = new FormBrowser();
    expect(await bring(browser, await answerFor(browser, 'guest'))).toEqual(refusedAs('sign-in-not-permitted'));
    expect(logged.join('')).toContain('the claim roles names no role of this platform');
  });

  it('gives up at the issuer', async () => {
    const browser = new FormBrowser();
    const answer = await answerFor(browser, 'nobody');
    expect(answer.searchParams.get('error')).toBe('access_denied');
    expect(await bring(browser, answer)).toEqual(refusedAs('sign-in-cancelled'));
  });

  it('comes while the issuer refuses the platform’s client: the log says what to compare, and no secret', async () => {
    const browser = new FormBrowser();
    const answer = await answerFor(browser, 'maria', 'mistaken');
    expect(await bring(browser, answer)).toEqual(refusedAs('sign-in-unavailable'));
    expect(logged.join('')).toMatch(/refuses this client: invalid_client; compare signIn.clientId, its secret/);
  });
});

describe('an attack', () => {
  it('by the state of another browser, to sign a victim in as the attacker, is refused (login CSRF)', async () => {
    const attackers = await answerFor(new FormBrowser(), 'asha');
    expect(await bring(new FormBrowser(), attackers)).toEqual(NOT_OF_THIS_ATTEMPT);
    const victim = new FormBrowser();
    await begin(victim);
    expect(await bring(victim, attackers)).toEqual(NOT_OF_THIS_ATTEMPT);
  });

  it('by the code of another browser under one’s own state is refused (code injection)', async () => {
    const stolen = await answerFor(new FormBrowser(), 'asha');
    const attacker = new FormBrowser();
    const answer = await answerFor(attacker, 'guest');
    answer.searchParams.set('code', stolen.searchParams.get('code')!);
    expect(await bring(attacker, answer)).toEqual(NOT_OF_THIS_ATTEMPT);
  });

  it('by an ID token of another nonce is refused', async () => {
    const browser = new FormBrowser();
    const address = await begin(browser);
    address.searchParams.set('nonce', 'of-another-attempt');
    expect(await bring(browser, await browser.answerOf(address, 'maria'))).toEqual(NOT_OF_THIS_ATTEMPT);
    expect(logged.join('')).toContain('nonce');
  });

  it('by a code that was used, with the cookies of then, is refused', async () => {
    const browser = new FormBrowser();
    const answer = await answerFor(browser);
    const replaying = browser.copy();
    expect((await bring(browser, answer)).hasSession).toBe(true);
    expect(await bring(replaying, answer)).toEqual(NOT_OF_THIS_ATTEMPT);
    expect((await browser.visit(answer)).to?.search).toBe('?problem=sign-in-attempt-invalid');
  });

  it.each<[what: string, change: (answer: URL) => void]>([
    ['of another issuer', ({ searchParams }) => searchParams.set('iss', supplier.endpoint)],
    ['that does not say whose it is', ({ searchParams }) => searchParams.delete('iss')],
    ['brought to where another issuer’s come', (answer) => void (answer.pathname = callback('supplier').pathname)],
  ])('by an answer %s is refused (mix-up)', async (_what, change) => {
    const browser = new FormBrowser();
    const answer = await answerFor(browser);
    change(answer);
    expect(await bring(browser, answer)).toEqual(NOT_OF_THIS_ATTEMPT);
  });

  it('by an attempt of longer ago than ten minutes is refused', async () => {
    const browser = new FormBrowser();
    const answer = await answerFor(browser);
    skewMs = 600_001;
    expect(await bring(browser, answer)).toEqual(NOT_OF_THIS_ATTEMPT);
  });

  it('leaves no code, state, verifier or cookie in the log', async () => {
    const browser = new FormBrowser();
    const answer = await answerFor(browser, 'guest');
    const attempt = browser.cookie(platform.gateway.url, ATTEMPT)!;
    await bring(browser, answer);
    const [content = ''] = attempt.split('.');
    const secrets = JSON.parse(Buffer.from(content, 'base64url').toString()) as Record<string, unknown>;
    expect(logged.length).toBeGreaterThan(0);
    for (const text of [answer.searchParams.get('code'), secrets['state'], secrets['codeVerifier'], content, 'eyJ'])
      expect(logged.join('')).not.toContain(text);
  });
});
