import { createHash, randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';
import {
  jwksIdentityVerifierConfigSchema,
  type JwksIdentityVerifierSettings,
} from '#adapters/oidc/jwks-identity-verifier/config.ts';
import { JwksIdentityVerifier } from '#adapters/oidc/jwks-identity-verifier/jwks-identity-verifier.ts';
import { SignInIdentityVerifier } from '#adapters/oidc/jwks-identity-verifier/sign-in-identity-verifier.ts';
import type { Claims, IdentityVerifierHarness } from '#core/contracts/identity-verifier.contract.ts';
import type { SignInIssuerHarness } from '#core/contracts/sign-in-issuer.contract.ts';
import { startHttpReceiver } from './http-receiver.ts';

/** An issuer that publishes its keys on this machine, and signs whatever it is told to. */
export class OidcIssuer implements AsyncDisposable {
  /** What it says that it is. */
  readonly issuer: string;
  readonly jwksUri: string;
  /** The path of each request that came. */
  readonly requests: string[] = [];
  /** Answers in place of its own documents. */
  answer: ((path: string, response: ServerResponse) => boolean) | undefined;
  /** What its token endpoint gives for any code. */
  idToken: string | undefined;
  /** The codes that it gave and nobody has redeemed. */
  readonly #codes = new Map<string, { readonly asked: URLSearchParams; readonly claims: Claims }>();
  readonly #keys: { readonly jwk: JWK; readonly privateKey: CryptoKey }[] = [];
  readonly #alg: string;
  readonly #dispose: () => Promise<void>;

  /** ES256 is made sooner; the clouds sign by RS256. */
  static async open(alg: 'ES256' | 'RS256' = 'ES256'): Promise<OidcIssuer> {
    const opened: { issuer?: OidcIssuer } = {};
    const server = await startHttpReceiver((request, response, body) =>
      opened.issuer?.respond(request.url ?? '', response, body.toString()),
    );
    opened.issuer = new OidcIssuer(server.url, alg, () => server[Symbol.asyncDispose]());
    await opened.issuer.rotate();
    return opened.issuer;
  }

  private constructor(url: string, alg: string, dispose: () => Promise<void>) {
    this.#alg = alg;
    this.issuer = url;
    this.jwksUri = `${url}/keys`;
    this.#dispose = dispose;
  }

  /** As a browser at its authorization endpoint, where whom the claims are of signs in; without claims they give up. */
  authorize(url: string, claims: Claims | undefined): Readonly<Record<string, string>> {
    const asked = new URL(url).searchParams;
    const state = asked.get('state')!;
    if (!claims) return { error: 'access_denied', state };
    const code = randomUUID();
    this.#codes.set(code, { asked, claims });
    return { code, state };
  }

  /** An ID token for a code, once, where PKCE and the redirect URI are those that it was given for (RFC 6749, 4.1.3; RFC 7636, 4.6). */
  async #redeem(form: URLSearchParams): Promise<object | undefined> {
    const given = this.#codes.get(form.get('code') ?? '');
    this.#codes.delete(form.get('code') ?? '');
    if (!given) return undefined;
    const { asked, claims } = given;
    const challenge = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url');
    if (challenge !== asked.get('code_challenge') || form.get('redirect_uri') !== asked.get('redirect_uri'))
      return undefined;
    const iat = Math.floor(Date.now() / 1000);
    const token = { iat, exp: iat + 600, aud: asked.get('client_id'), nonce: asked.get('nonce'), ...claims };
    return { access_token: 'opaque', token_type: 'Bearer', id_token: await this.sign(token) };
  }

  private respond(path: string, response: ServerResponse, form: string): void {
    this.requests.push(path);
    if (this.answer?.(path, response)) return;
    if (path === '/token' && this.idToken === undefined) {
      void this.#redeem(new URLSearchParams(form)).then((tokens) => {
        response.writeHead(tokens ? 200 : 400, { 'content-type': 'application/json' });
        response.end(JSON.stringify(tokens ?? { error: 'invalid_grant' }));
      });
      return;
    }
    const documents: Readonly<Record<string, object>> = {
      '/keys': this.publicKeys(),
      '/.well-known/openid-configuration': {
        ...{ issuer: this.issuer, jwks_uri: this.jwksUri },
        ...{ authorization_endpoint: `${this.issuer}/authorize`, token_endpoint: `${this.issuer}/token` },
        end_session_endpoint: `${this.issuer}/sign-out`,
      },
      ...(this.idToken !== undefined && {
        '/token': { access_token: 'opaque', token_type: 'Bearer', id_token: this.idToken },
      }),
    };
    const document = documents[path];
    response.writeHead(document ? 200 : 404, { 'content-type': 'application/json' }).end(JSON.stringify(document));
  }

  publicKeys(): { readonly keys: readonly (JWK & Readonly<Record<string, unknown>>)[] } {
    return { keys: this.#keys.map(({ jwk }) => ({ ...jwk })) };
  }

  /** Signs by another key from now on, and still publishes those before. */
  async rotate(): Promise<void> {
    const { publicKey, privateKey } = await generateKeyPair(this.#alg);
    const jwk = { ...(await exportJWK(publicKey)), kid: `key-${this.#keys.length}`, alg: this.#alg, use: 'sig' };
    this.#keys.push({ jwk, privateKey });
  }

  /** Publishes the newest key alone. */
  withdrawOldKeys(): void {
    this.#keys.splice(0, this.#keys.length - 1);
  }

  sign(claims: Claims, header: Readonly<Record<string, string>> = {}): Promise<string> {
    const { jwk, privateKey } = this.#keys.at(-1)!;
    return new SignJWT({ ...claims }).setProtectedHeader({ alg: this.#alg, kid: jwk.kid!, ...header }).sign(privateKey);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#dispose();
  }
}

/** Claims as the contract names them, as an issuer names them. */
export type Dialect = (claims: Claims) => Claims;

/** A verifier of the tokens of an issuer of that dialect, which asks for keys on this machine instead of the cloud. */
export async function openVerifier(
  settings: JwksIdentityVerifierSettings,
  dialect: Dialect,
): Promise<IdentityVerifierHarness & AsyncDisposable & { readonly signAsIs: OidcIssuer['sign'] }> {
  const keys = await OidcIssuer.open('RS256');
  const config = jwksIdentityVerifierConfigSchema.parse({ ...settings, jwksUri: keys.jwksUri, keysCooldownMs: 0 });
  const {
    issuer: iss,
    audience: [aud],
  } = config;
  const nowSeconds = Math.floor(Date.now() / 1000);
  return {
    verifier: new JwksIdentityVerifier(config),
    clockToleranceMs: config.clockToleranceMs,
    validClaims: () => ({
      ...{ iss, aud, sub: 'maria', tenant: 'demo', roles: ['operator'] },
      ...{ iat: nowSeconds, exp: nowSeconds + 600 },
    }),
    sign: (claims) => keys.sign(dialect(claims)),
    signAsIs: (claims, header) => keys.sign(claims, header),
    publicKeys: async () => keys.publicKeys(),
    rotate: () => keys.rotate(),
    [Symbol.asyncDispose]: () => keys[Symbol.asyncDispose](),
  };
}

/** As a dialect of claims, an issuer that people sign in at, with keys and token endpoint on this machine. */
export async function openSignIn(
  settings: JwksIdentityVerifierSettings | ((local: OidcIssuer) => JwksIdentityVerifierSettings),
  dialect: Dialect = (claims) => claims,
): Promise<SignInIssuerHarness & AsyncDisposable> {
  const local = await OidcIssuer.open('RS256');
  const { signIn, ...given } = typeof settings === 'function' ? settings(local) : settings;
  // Where the vendor has its own, only that one is on this machine.
  const tokenEndpoint = signIn?.tokenEndpoint === undefined ? {} : { tokenEndpoint: `${local.issuer}/token` };
  const config = jwksIdentityVerifierConfigSchema.parse({
    ...{ ...given, jwksUri: local.jwksUri, signIn: { ...signIn, ...tokenEndpoint } },
  });
  const page = config.signIn!;
  const people = {
    maria: { sub: 'maria', tenant: 'demo', roles: ['operator'] },
    guest: { sub: 'guest', tenant: 'demo', roles: [] },
    nobody: undefined,
  };
  return {
    issuer: new SignInIdentityVerifier({ ...config, signIn: page }, { secrets: { get: async () => undefined } }),
    redirectUri: 'https://tribo.example/v1/sign-in/company/callback',
    signedOutUri: 'https://tribo.example/',
    answer: async (url, person) => {
      const claims = people[person];
      return local.authorize(url, claims && { iss: page.issuer ?? config.issuer, ...dialect(claims) });
    },
    [Symbol.asyncDispose]: () => local[Symbol.asyncDispose](),
  };
}

/** Claims but those. */
export function without(claims: Claims, ...names: readonly string[]): Claims {
  return Object.fromEntries(Object.entries(claims).filter(([name]) => !names.includes(name)));
}

/** Roles as the issuer names them; what is no list of texts stays as it is. */
export function renamed(roles: unknown, rename: (role: string) => string): unknown {
  return Array.isArray(roles) ? roles.map((role: unknown) => (typeof role === 'string' ? rename(role) : role)) : roles;
}
