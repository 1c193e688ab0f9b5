import { isPortError, type PortErrorCode } from '#core/errors.ts';
import type { Identity, SignInIssuer } from '#core/ports/identity-verifier.ts';
import { HttpProblem } from '../../shared/http/problem.ts';
import type { ProblemType } from '../../shared/http/problem-types.ts';
import { cookieIn, sessionCookie, signInCookie, signInCookieName } from '../access/session-cookie.ts';
import { SIGN_IN_WITHIN_MS, type BegunSignIn } from '../access/sign-in-attempts.ts';
import { route, type Call, type Route } from '../http/route.ts';
import {
  beginSignInQuerySchema,
  signInAnswerSchema,
  signInIssuerSchema,
  signInIssuersSchema,
} from '../schemas/access.ts';
import type { GatewayServices } from '../services.ts';

const TAG = 'Access';
/** Where the page tells why nobody was signed in. */
const PROBLEM_PAGE = '/sign-in';

/** How people sign in at the page by the issuers of their company: the authorization code flow, whose state is in their browser alone. */
export function signInRoutes(): readonly Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/sign-in-issuers',
      tag: TAG,
      summary: 'Where people may sign in besides by one-time links: for the buttons of the page.',
      access: 'public',
      response: { status: 200, description: 'In the site’s order', schema: signInIssuersSchema },
      handle: async (_call, { signInIssuers }) => ({
        json: { issuers: signInIssuers.map(({ signIn: { id, name } }) => ({ id, name })) },
      }),
    }),
    route({
      method: 'GET',
      path: '/v1/sign-in/{issuer}',
      tag: TAG,
      summary: 'Sends a browser to sign in at the issuer, and remembers in a cookie that it was this one.',
      access: 'public',
      params: signInIssuerSchema,
      query: beginSignInQuerySchema,
      response: { status: 303, description: 'To the issuer; a problem is told by the page' },
      problemPage: PROBLEM_PAGE,
      handle: async (call, services) => {
        const { issuer: id } = call.params;
        const issuer = issuerOf(services, id);
        const { url, attempt } = await problemsOf('', () =>
          issuer.beginSignIn(redirectUri(call, id), { signal: call.signal }),
        );
        const cookie = services.signInAttempts.begin({ ...attempt, issuer: id, returnTo: call.query.returnTo });
        const headers = { location: url, 'set-cookie': signInCookie(services.config, cookie, SIGN_IN_WITHIN_MS) };
        return { empty: true, status: 303, headers };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/sign-in/{issuer}/callback',
      tag: TAG,
      summary: 'Where the issuer sends the browser back to; the session comes as an HttpOnly cookie.',
      access: 'public',
      allowance: 'sign-in',
      params: signInIssuerSchema,
      query: signInAnswerSchema,
      response: { status: 303, description: 'To the page, signed in; a problem is told by the page' },
      problemPage: PROBLEM_PAGE,
      handle: async (call, services) => {
        const { config, sessions } = services;
        const issuer = issuerOf(services, call.params.issuer);
        const attempt = attemptOf(call, services);
        const { subject, tenant, roles } = await complete(issuer, attempt, call, services);
        const { sessionMs } = issuer.signIn;
        const signedIn = { at: issuer.signIn.id, atMostMs: sessionMs };
        const { cookie, principal } = sessions.begin(subject, tenant, roles, signedIn);
        const maxAgeMs = Math.min(sessionMs, config.sessionLifetimeMs);
        const cookies = [sessionCookie(config, cookie, maxAgeMs), signInCookie(config, '', 0)];
        return {
          ...{ empty: true, status: 303, signedIn: principal },
          headers: { location: attempt.returnTo, 'set-cookie': cookies },
        };
      },
    }),
  ];
}

/** Where the issuer may send back a browser that has signed out. */
export function signedOutUri({ baseUrl }: Pick<Call, 'baseUrl'>): string {
  return `${baseUrl}/`;
}

type SignInCall = Pick<Call, 'baseUrl' | 'signal' | 'rawQuery' | 'header'>;

/** Each issuer has its own, so that none can pass on what another has answered (RFC 9700, 4.4). */
function redirectUri({ baseUrl }: SignInCall, id: string): string {
  return `${baseUrl}/v1/sign-in/${id}/callback`;
}

function issuerOf({ signInIssuers }: GatewayServices, id: string): SignInIssuer {
  const issuer = signInIssuers.find(({ signIn }) => signIn.id === id);
  if (issuer) return issuer;
  throw new HttpProblem('not-found', {
    detail: 'Nobody signs in at this site by an issuer of that id.',
    pointer: 'path:issuer',
    remedy: 'GET /v1/sign-in-issuers lists those of this site.',
  });
}

/** The attempt that this browser has begun at the issuer that now answers. */
function attemptOf(
  call: SignInCall & { readonly params: { readonly issuer: string } },
  { signInAttempts, config }: GatewayServices,
): BegunSignIn {
  const cookie = cookieIn(call.header('cookie'), signInCookieName(config));
  const attempt = cookie === undefined ? undefined : signInAttempts.read(cookie);
  if (attempt?.issuer === call.params.issuer) return attempt;
  throw new HttpProblem('sign-in-attempt-invalid', {
    detail: 'This browser has begun no sign-in at that issuer, or longer than ten minutes ago.',
    remedy: `Open ${call.baseUrl} and sign in there.`,
  });
}

async function complete(
  issuer: SignInIssuer,
  { state, nonce, codeVerifier }: BegunSignIn,
  call: SignInCall,
  { logger }: GatewayServices,
): Promise<Identity> {
  const answer = {
    redirectUri: redirectUri(call, issuer.signIn.id),
    parameters: call.rawQuery,
    attempt: { state, nonce, codeVerifier },
  };
  try {
    return await problemsOf(call.rawQuery['error'] ?? '', () => issuer.completeSignIn(answer, { signal: call.signal }));
  } catch (error) {
    if (error instanceof HttpProblem && error.status < SERVER_ERROR)
      logger.warn({ issuer: issuer.issuer, reason: error.message }, 'a sign-in was refused');
    throw error;
  }
}

/** From this status on the pipeline tells the log. */
const SERVER_ERROR = 500;
/** What the issuer says where a person has given up, or it lets them in nowhere (RFC 6749, 4.1.2.1). */
const GIVEN_UP = 'access_denied';

const PROBLEMS: Partial<Record<PortErrorCode, ProblemType>> = {
  invalid_argument: 'sign-in-attempt-invalid',
  permission_denied: 'sign-in-not-permitted',
  failed_precondition: 'sign-in-unavailable',
  unavailable: 'sign-in-unavailable',
  deadline_exceeded: 'sign-in-unavailable',
};

/** `answered`: the error that the issuer has answered with, which the port has judged. */
async function problemsOf<Result>(answered: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    const type = isPortError(error) ? PROBLEMS[error.code] : undefined;
    if (!isPortError(error) || type === undefined) throw error;
    const isGivenUp = type === 'sign-in-not-permitted' && answered === GIVEN_UP;
    throw new HttpProblem(
      isGivenUp ? 'sign-in-cancelled' : type,
      { detail: error.message, remedy: 'Sign in again; the page says more.' },
      { cause: error },
    );
  }
}
