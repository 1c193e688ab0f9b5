import type { Problem } from '../../api-gateway/schemas/problem.ts';
import type { Session, SignedOut, SignInIssuers } from '../../api-gateway/schemas/access.ts';

/** What the page says when a call fails: the problem's own words, or that nothing answered. */
export class ApiError extends Error {
  readonly status: number | undefined;
  readonly remedy: string | undefined;

  constructor(message: string, status?: number, remedy?: string) {
    super(message);
    this.status = status;
    this.remedy = remedy;
  }
}

/** A platform that is not ready says why with 503: that is an answer, and no failure of the call. */
export const READINESS = '/health/ready';
const ANSWERS_WITHIN_MS = 15_000;
/** The Date header has whole seconds. */
const CLOCK_TOLERANCE_MS = 2000;

let csrfToken = '';
let serverAheadMs = 0;

/** The platform's time: ages are told by it, for the clock of a browser may be wrong. */
export function serverNowMs(): number {
  return Date.now() + serverAheadMs;
}

export async function signIn(code: string): Promise<Session> {
  return remember(await call<Session>('POST', '/v1/session', { code }));
}

export async function currentSession(): Promise<Session> {
  return remember(await call<Session>('GET', '/v1/session'));
}

/** Where people may sign in besides by a one-time link; nowhere where that cannot be told. */
export async function signInIssuers(): Promise<SignInIssuers['issuers']> {
  const { issuers } = await call<SignInIssuers>('GET', '/v1/sign-in-issuers').catch(() => ({ issuers: [] }));
  return issuers;
}

/** Where to go then: to where the session at the issuer ends, or to the page. */
export async function signOut(): Promise<string> {
  const { issuerSignOutUrl = '/' } = await call<SignedOut>('DELETE', '/v1/session').catch((): SignedOut => ({}));
  return issuerSignOutUrl;
}

/** @throws ApiError for a refusal, and where nothing answers in time; what the signal was aborted with. */
export async function call<Result>(
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<Result> {
  const overdue = AbortSignal.timeout(ANSWERS_WITHIN_MS);
  try {
    const response = await fetch(path, {
      method,
      credentials: 'same-origin',
      headers: {
        accept: 'application/json',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(method === 'GET' ? {} : { 'x-csrf-token': csrfToken }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: signal ? AbortSignal.any([signal, overdue]) : overdue,
    });
    const text = await response.text();
    noteServerTime(response.headers.get('date'));
    if (!response.ok && !(response.status === 503 && path === READINESS)) throw toError(response.status, text);
    return (text === '' ? undefined : JSON.parse(text)) as Result;
  } catch (error) {
    if (error instanceof ApiError || signal?.aborted) throw error;
    throw new ApiError('The platform does not answer.', undefined, 'Is it running? This page tries again by itself.');
  }
}

function noteServerTime(date: string | null): void {
  const aheadMs = date === null ? Number.NaN : Date.parse(date) - Date.now();
  if (Number.isFinite(aheadMs)) serverAheadMs = Math.abs(aheadMs) > CLOCK_TOLERANCE_MS ? aheadMs : 0;
}

function remember(session: Session): Session {
  csrfToken = session.csrfToken;
  return session;
}

function toError(status: number, text: string): ApiError {
  try {
    const problem = JSON.parse(text) as Problem;
    return new ApiError(problem.detail, status, problem.remedy);
  } catch {
    return new ApiError(`The platform answered ${status}.`, status);
  }
}
