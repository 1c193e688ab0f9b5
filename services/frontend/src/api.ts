import { useCallback, useEffect, useRef, useState } from 'react';
import type { Problem } from '../../api-gateway/schemas/problem.ts';
import type { Session } from '../../api-gateway/schemas/access.ts';

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

let csrfToken = '';

export async function signIn(code: string): Promise<Session> {
  return remember(await call<Session>('POST', '/v1/session', { code }));
}

export async function currentSession(): Promise<Session> {
  return remember(await call<Session>('GET', '/v1/session'));
}

export async function signOut(): Promise<void> {
  await call('DELETE', '/v1/session');
}

export async function call<Result>(
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<Result> {
  const response = await fetch(path, {
    method,
    credentials: 'same-origin',
    headers: {
      accept: 'application/json',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(method === 'GET' ? {} : { 'x-csrf-token': csrfToken }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal ? { signal } : {}),
  }).catch((error: unknown) => {
    if (signal?.aborted) throw error;
    throw new ApiError('The platform does not answer.', undefined, 'Is it running? This page tries again by itself.');
  });
  const text = await response.text();
  if (!response.ok) throw toError(response.status, text);
  return (text === '' ? undefined : JSON.parse(text)) as Result;
}

export type Resource<Data> =
  | { readonly state: 'loading' }
  | { readonly state: 'ready'; readonly data: Data; readonly atMs: number }
  | { readonly state: 'error'; readonly error: ApiError };

/** Reads a path now, every `refreshMs`, and whenever `reload` is called. An error replaces the data: old numbers are never shown as current. */
export function useResource<Data>(path: string | undefined, refreshMs: number): [Resource<Data>, () => void] {
  const [resource, setResource] = useState<Resource<Data>>({ state: 'loading' });
  const [generation, setGeneration] = useState(0);
  const shownPath = useRef(path);
  useEffect(() => {
    if (path === undefined) return undefined;
    if (shownPath.current !== path) setResource({ state: 'loading' });
    shownPath.current = path;
    const controller = new AbortController();
    const read = () => {
      call<Data>('GET', path, undefined, controller.signal).then(
        (data) => setResource({ state: 'ready', data, atMs: Date.now() }),
        (error: unknown) => {
          if (!controller.signal.aborted)
            setResource({ state: 'error', error: error instanceof ApiError ? error : new ApiError(String(error)) });
        },
      );
    };
    read();
    const timer = setInterval(read, refreshMs);
    return () => {
      clearInterval(timer);
      controller.abort();
    };
  }, [path, refreshMs, generation]);
  const reload = useCallback(() => setGeneration((current) => current + 1), []);
  return [resource, reload];
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
