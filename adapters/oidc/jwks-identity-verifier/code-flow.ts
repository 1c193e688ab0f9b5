import type {
  AuthorizationResponseError,
  ClientError,
  Configuration,
  CustomFetch,
  ResponseBodyError,
  ServerMetadata,
} from 'openid-client';
import type { Clock } from '#core/clock.ts';
import { isPortError, messageOf, PortError, throwIfAborted, type CallOptions } from '#core/errors.ts';
import type { SignInAnswer, SignInRequest } from '#core/ports/identity-verifier.ts';
import { orStopWaiting } from '#core/stop-waiting.ts';
import { bodyOf } from './body-of.ts';
import type { JwksIdentityVerifierConfig } from './config.ts';
import type { SignInIdentityVerifierConfig } from './sign-in-identity-verifier.ts';

type Library = typeof import('openid-client');
type Source = Pick<
  JwksIdentityVerifierConfig,
  'issuer' | 'algorithms' | 'clockToleranceMs' | 'fetchTimeoutMs' | 'keysMaxAgeMs' | 'keysRetryMs'
> &
  Pick<SignInIdentityVerifierConfig, 'signIn'>;

/** The authorization code flow with PKCE at one issuer, by `openid-client`, which is loaded with the first sign-in. */
export class CodeFlow {
  readonly #source: Source;
  readonly #clock: Clock;
  #asked: { readonly atMs: number; readonly server: Promise<ServerMetadata>; hasFailed: boolean } | undefined;

  constructor(source: Source, clock: Clock) {
    this.#source = source;
    this.#clock = clock;
  }

  async begin(redirectUri: string, { signal }: CallOptions): Promise<SignInRequest> {
    throwIfAborted(signal);
    const library = await import('openid-client');
    const attempt = {
      state: library.randomState(),
      nonce: library.randomNonce(),
      codeVerifier: library.randomPKCECodeVerifier(),
    };
    const url = library.buildAuthorizationUrl(await this.#client(library, undefined, signal), {
      ...{ redirect_uri: redirectUri, scope: this.#source.signIn.scopes.join(' ') },
      ...{ state: attempt.state, nonce: attempt.nonce },
      ...{
        code_challenge: await library.calculatePKCECodeChallenge(attempt.codeVerifier),
        code_challenge_method: 'S256',
      },
    });
    return { url: url.href, attempt };
  }

  /** The ID token for the code: its claims and nonce are checked, and its signature is not. */
  async redeem(answer: SignInAnswer, secret: string | undefined, { signal }: CallOptions): Promise<string> {
    throwIfAborted(signal);
    const library = await import('openid-client');
    const client = await this.#client(library, secret, signal);
    const { state: expectedState, nonce: expectedNonce, codeVerifier: pkceCodeVerifier } = answer.attempt;
    const query = new URLSearchParams(answer.parameters).toString();
    const tokens = await library
      .authorizationCodeGrant(client, new URL(`${answer.redirectUri}?${query}`), {
        ...{ expectedState, expectedNonce, pkceCodeVerifier },
      })
      .catch((error: unknown) => {
        throwIfAborted(signal);
        throw flowError(library, error, this.#source.issuer);
      });
    if (tokens.id_token !== undefined) return tokens.id_token;
    throw new PortError('failed_precondition', `${this.#source.issuer} gave no ID token`);
  }

  /** Without a hint of who it is: the session here keeps no token that could be one. */
  async signOutUrl(returnTo: string, { signal }: CallOptions): Promise<string | undefined> {
    throwIfAborted(signal);
    const { signOutAtIssuer, signOutReturn } = this.#source.signIn;
    if (!signOutAtIssuer) return undefined;
    const library = await import('openid-client');
    const client = await this.#client(library, undefined, signal);
    if (client.serverMetadata().end_session_endpoint === undefined) return undefined;
    return library.buildEndSessionUrl(client, { [signOutReturn]: returnTo }).href;
  }

  async #client(library: Library, secret: string | undefined, signal: AbortSignal | undefined): Promise<Configuration> {
    const { signIn, algorithms, clockToleranceMs } = this.#source;
    const server = await orStopWaiting(this.#server(library), signal);
    const client = new library.Configuration(
      { ...server, id_token_signing_alg_values_supported: [...algorithms] },
      signIn.clientId,
      { [library.clockTolerance]: Math.ceil(clockToleranceMs / 1000) },
      secret === undefined ? library.None() : AUTHENTICATIONS[signIn.clientAuthentication](library, secret),
    );
    if (isWithoutTls(server.token_endpoint ?? '')) insecure(library)(client);
    client.timeout = this.#source.fetchTimeoutMs / 1000;
    client[library.customFetch] = fetchingWith(signal);
    return client;
  }

  /** Those who come at once share one answer of the issuer; one that failed is not asked for again at once. */
  #server(library: Library): Promise<ServerMetadata> {
    const { keysMaxAgeMs, keysRetryMs } = this.#source;
    const nowMs = this.#clock.monotonicMs();
    const known = this.#asked;
    if (known && nowMs - known.atMs < (known.hasFailed ? keysRetryMs : keysMaxAgeMs)) return known.server;
    const asked = { atMs: nowMs, server: serverOf(library, this.#source), hasFailed: false };
    asked.server.catch(() => (asked.hasFailed = true));
    this.#asked = asked;
    return asked.server;
  }
}

const AUTHENTICATIONS = {
  basic: (library: Library, secret: string) => library.ClientSecretBasic(secret),
  post: (library: Library, secret: string) => library.ClientSecretPost(secret),
} as const;

/** Where the issuer's endpoints are: as configured, or as its discovery document says if that is at the issuer's own host. */
async function serverOf(library: Library, { issuer, signIn, fetchTimeoutMs }: Source): Promise<ServerMetadata> {
  const { authorizationEndpoint, tokenEndpoint, endSessionEndpoint } = signIn;
  const named = endSessionEndpoint === undefined ? {} : { end_session_endpoint: endSessionEndpoint };
  if (authorizationEndpoint !== undefined && tokenEndpoint !== undefined)
    return { issuer, authorization_endpoint: authorizationEndpoint, token_endpoint: tokenEndpoint, ...named };
  try {
    const discovered = await library.discovery(new URL(issuer), signIn.clientId, undefined, library.None(), {
      ...{ timeout: fetchTimeoutMs / 1000, [library.customFetch]: fetchingWith(undefined) },
      ...(isWithoutTls(issuer) && { execute: [insecure(library)] }),
    });
    return { ...checkedServer(discovered.serverMetadata(), issuer), ...named };
  } catch (error) {
    throw isPortError(error) ? error : unreachable(error, issuer);
  }
}

function checkedServer(server: ServerMetadata, issuer: string): ServerMetadata {
  if (server.issuer !== issuer)
    throw new PortError('failed_precondition', `the discovery document of ${issuer} is of the issuer ${server.issuer}`);
  const { authorization_endpoint: authorization, token_endpoint: token, end_session_endpoint: end, ...rest } = server;
  const isOwn = (place: string | undefined) => URL.parse(place ?? '')?.origin === new URL(issuer).origin;
  // Nobody is sent to another host to sign out either; that is no reason not to sign in.
  const signOut = end !== undefined && isOwn(end) ? { end_session_endpoint: end } : {};
  if (isOwn(authorization) && isOwn(token))
    return { ...rest, authorization_endpoint: authorization!, token_endpoint: token!, ...signOut };
  throw new PortError(
    'failed_precondition',
    `the discovery document of ${issuer} names no authorization and token endpoint at the issuer's own host, but ${authorization} and ${token}: ` +
      'set signIn.authorizationEndpoint and signIn.tokenEndpoint if they are meant',
  );
}

/** On loopback alone, as the configuration's schema sees to. */
function isWithoutTls(address: string): boolean {
  return address.startsWith('http:');
}

function insecure(library: Library): (client: Configuration) => void {
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- marked so that it stands out, not because something else takes its place
  return library.allowInsecureRequests;
}

/** No redirect is followed, and no answer is read for ever. */
function fetchingWith(signal: AbortSignal | undefined): CustomFetch {
  return async (url, { body, ...options }) => {
    const signals = [signal, options.signal].filter((each) => each instanceof AbortSignal);
    const request = { ...options, ...(body !== undefined && { body: body as NonNullable<RequestInit['body']> }) };
    const response = await fetch(url, { ...request, redirect: 'manual', signal: AbortSignal.any(signals) });
    const { status, headers } = response;
    return new Response(await bodyOf(response, url), { status, headers });
  };
}

/** OAuth's errors of a token endpoint that speak of the code (RFC 6749, 5.2), and of a browser's answer that speak of the person (OpenID Connect Core, 3.1.2.6). */
const OF_THE_CODE: ReadonlySet<string> = new Set(['invalid_grant']);
const OF_THE_PERSON: ReadonlySet<string> = new Set([
  ...['access_denied', 'login_required', 'consent_required', 'interaction_required', 'account_selection_required'],
]);
const OF_THE_ISSUER: ReadonlySet<string> = new Set(['server_error', 'temporarily_unavailable']);

/** The library's errors hold codes and tokens of the answer: none of it goes further than to here. */
function flowError(library: Library, error: unknown, issuer: string): PortError {
  if (error instanceof library.AuthorizationResponseError) return answeredError(error, issuer);
  if (error instanceof library.ResponseBodyError) return tokenEndpointError(error, issuer);
  if (error instanceof library.WWWAuthenticateChallengeError) return refusedClient(issuer, 'invalid_client');
  if (!(error instanceof library.ClientError) || !OF_THE_ATTEMPT.has(error.code ?? ''))
    return unreachable(error, issuer);
  return new PortError('invalid_argument', `the answer of ${issuer} is not that to this attempt (${causeOf(error)})`);
}

/** The library's codes for an answer, or an ID token, that is of another attempt, issuer or client. */
const OF_THE_ATTEMPT: ReadonlySet<string> = new Set([
  ...['OAUTH_INVALID_RESPONSE', 'OAUTH_JWT_CLAIM_COMPARISON_FAILED', 'OAUTH_JWT_TIMESTAMP_CHECK_FAILED'],
]);

function unreachable(error: unknown, issuer: string): PortError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'no answer';
  if (code === 'OAUTH_TIMEOUT') return new PortError('deadline_exceeded', `${issuer} did not answer in time`);
  return new PortError(
    'unavailable',
    `${issuer} does not answer as an OpenID provider does: ${messageOf(error)} (${code})`,
  );
}

function answeredError({ error }: AuthorizationResponseError, issuer: string): PortError {
  const said = shown(error);
  if (OF_THE_PERSON.has(error)) return new PortError('permission_denied', `${issuer} lets nobody in: ${said}`);
  if (OF_THE_ISSUER.has(error)) return new PortError('unavailable', `${issuer} says ${said}`);
  return refusedClient(issuer, said);
}

function tokenEndpointError({ error, status }: ResponseBodyError, issuer: string): PortError {
  const said = shown(error);
  if (status >= 500 || OF_THE_ISSUER.has(error)) return new PortError('unavailable', `${issuer} says ${said}`);
  if (OF_THE_CODE.has(error))
    return new PortError(
      'invalid_argument',
      `${issuer} does not take the code, which is used up, too old or not of this attempt`,
    );
  return refusedClient(issuer, said);
}

function refusedClient(issuer: string, said: string): PortError {
  return new PortError(
    'failed_precondition',
    `${issuer} refuses this client: ${said}; compare signIn.clientId, its secret, scopes and redirect URI with what the issuer has`,
  );
}

/** Of a text that anybody may have written into an address. */
function shown(text: string): string {
  return text.replaceAll(/[^a-z_]/g, '').slice(0, 64);
}

function causeOf({ cause, code }: ClientError): string {
  return cause instanceof Error ? cause.message : String(code);
}
