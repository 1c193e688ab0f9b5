import type { TokenIssuer, TokenRecord } from '#core/ports/token-issuer.ts';
import { HttpProblem } from '../../shared/http/problem.ts';
import type { Principal } from '../access/principal.ts';
import { sessionCookie } from '../access/session-cookie.ts';
import { decodeCursor, pageOf } from '../http/cursor.ts';
import { route, type Call, type Route } from '../http/route.ts';
import {
  createdTokenSchema,
  createTokenRequestSchema,
  sessionSchema,
  signedOutSchema,
  signInLinkRequestSchema,
  signInLinkSchema,
  signInRequestSchema,
  tokenAddressSchema,
  tokenListQuerySchema,
  tokensSchema,
  type Session,
  type SignedOut,
  type TokenView,
} from '../schemas/access.ts';
import type { GatewayServices } from '../services.ts';
import { signedOutUri } from './sign-in-routes.ts';

const TAG = 'Access';
const DAY_MS = 86_400_000;
const TOKEN_CURSOR = ['number', 'string'] as const;
const NEWEST = [Infinity, ''] as const;

/** Nobody is signed in yet who sends one. */
const MAX_SIGN_IN_BYTES = 4096;

export function accessRoutes(limits: { readonly jsonBytes: number }): readonly Route[] {
  return [
    route({
      method: 'POST',
      path: '/v1/session',
      tag: TAG,
      summary: 'Signs in with the code of a one-time link; the session comes as an HttpOnly cookie.',
      access: 'public',
      allowance: 'sign-in',
      body: { kind: 'json', schema: signInRequestSchema, maxBytes: MAX_SIGN_IN_BYTES },
      response: { status: 201, description: 'Who is signed in now', schema: sessionSchema },
      handle: async ({ body }, { signInCodes, sessions, config }) => {
        const invitation = await signInCodes.redeem(body.code);
        if (!invitation) throw codeInvalid();
        const { cookie, principal } = sessions.begin(invitation.subject, invitation.tenant, invitation.roles);
        const maxAgeMs = config.sessionLifetimeMs;
        const headers = { 'set-cookie': sessionCookie(config, cookie, maxAgeMs) };
        return { json: sessionView(principal), headers, signedIn: principal };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/session',
      tag: TAG,
      summary: 'Who is signed in, and the CSRF token of the session.',
      access: 'viewer',
      response: { status: 200, description: 'The session', schema: sessionSchema },
      handle: async ({ principal }) => ({ json: sessionView(principal) }),
    }),
    route({
      method: 'DELETE',
      path: '/v1/session',
      tag: TAG,
      summary: 'Signs out, and tells where the session at the issuer ends, if it was begun at one.',
      access: 'viewer',
      response: { status: 200, description: 'Nobody is signed in any more', schema: signedOutSchema },
      handle: async (call, services) => {
        const { principal } = call;
        await services.sessions.end(principal);
        const headers = { 'set-cookie': sessionCookie(services.config, '', 0) };
        return { json: await signedOut(principal, call, services), headers };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/sign-in-links',
      tag: TAG,
      summary: 'Makes a one-time sign-in link for a person; it works for ten minutes.',
      access: 'admin',
      body: { kind: 'json', schema: signInLinkRequestSchema, maxBytes: limits.jsonBytes },
      response: { status: 201, description: 'The link', schema: signInLinkSchema },
      handle: async ({ body, principal, baseUrl }, { signInCodes }) => {
        const { code, expiresAtMs } = await signInCodes.issue({ ...body, tenant: principal.tenant });
        return { json: { url: signInUrl(baseUrl, code), expiresMs: expiresAtMs } };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/tokens',
      tag: TAG,
      summary: 'The bearer tokens that were issued and have not expired.',
      access: 'admin',
      query: tokenListQuerySchema,
      response: { status: 200, description: 'Newest first', schema: tokensSchema },
      handle: async ({ query, principal, signal }, services) => {
        const [createdMs, id] =
          query.cursor === undefined ? NEWEST : decodeCursor('tokens', query.cursor, TOKEN_CURSOR);
        const all = await issuerOf(services).listTokens(principal.tenant, { signal });
        const found = all.filter(
          (each) => each.createdAtMs < createdMs || (each.createdAtMs === createdMs && each.id > id),
        );
        const positionOf = (last: TokenRecord) => [last.createdAtMs, last.id];
        return { json: pageOf('tokens', found, query.limit, { view: tokenView, positionOf }) };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/tokens',
      tag: TAG,
      summary: 'Issues a bearer token for an API client. It is shown in this answer and never again.',
      access: 'admin',
      body: { kind: 'json', schema: createTokenRequestSchema, maxBytes: limits.jsonBytes },
      response: { status: 201, description: 'The token', schema: createdTokenSchema },
      handle: async ({ body, principal: { tenant } }, services) => {
        const { name: subject, roles, lifetimeDays } = body;
        const request = { tenant, subject, roles, lifetimeMs: Math.round(lifetimeDays * DAY_MS) };
        const { token, record } = await issuerOf(services).issue(request);
        return { json: { ...tokenView(record), token } };
      },
    }),
    route({
      method: 'DELETE',
      path: '/v1/tokens/{id}',
      tag: TAG,
      summary: 'Refuses a token from now on.',
      access: 'admin',
      params: tokenAddressSchema,
      response: { status: 204, description: 'It is refused from now on' },
      handle: async ({ params, principal }, services) => {
        await issuerOf(services).revoke(principal.tenant, params.id);
        return { empty: true };
      },
    }),
  ];
}

/** Who cannot be told where the issuer's session ends is signed out here all the same. */
async function signedOut(
  { signedInAt }: Principal,
  call: Pick<Call, 'baseUrl' | 'signal'>,
  { signInIssuers, logger }: GatewayServices,
): Promise<SignedOut> {
  const issuer = signInIssuers.find(({ signIn }) => signIn.id === signedInAt);
  try {
    const url = await issuer?.signOutUrl(signedOutUri(call), { signal: call.signal });
    return url === undefined ? {} : { issuerSignOutUrl: url };
  } catch (error) {
    logger.warn({ err: error, issuer: issuer?.issuer }, 'the issuer does not say where a session ends');
    return {};
  }
}

/** The page posts the code from here; a link that is only fetched (by a mail scanner) is not used up. */
export function signInUrl(baseUrl: string, code: string): string {
  return `${baseUrl}/sign-in?code=${code}`;
}

function sessionView({ subject, tenant, roles, csrfToken, expiresAtMs }: Principal): Session {
  return { subject, tenant, roles: [...roles], csrfToken: csrfToken ?? '', expiresMs: expiresAtMs };
}

function tokenView({ id, subject, roles, createdAtMs, expiresAtMs, revoked }: TokenRecord): TokenView {
  return { id, name: subject, roles: [...roles], createdMs: createdAtMs, expiresMs: expiresAtMs, revoked };
}

function issuerOf({ issuer }: GatewayServices): TokenIssuer {
  if (issuer) return issuer;
  throw new HttpProblem('unimplemented', {
    detail: 'Tokens of this site are issued by its identity provider.',
    remedy: 'Make clients and tokens there.',
  });
}

function codeInvalid(): HttpProblem {
  return new HttpProblem('sign-in-code-invalid', {
    detail: 'The sign-in link was used before, has expired, or was never made.',
    remedy: 'Make a new one: npx tribo token sign-in your-name --role operator.',
  });
}
