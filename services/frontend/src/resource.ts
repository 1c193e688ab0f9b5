import { useCallback, useEffect, useRef, useState } from 'react';
import { ApiError, call } from './api.ts';

/** What a page knows of something that it reads again and again. */
export type Resource<Data> =
  | { readonly state: 'loading' }
  /** Times by the browser's clock. From `staleAtMs` on it should have been read again long ago. */
  | { readonly state: 'ready'; readonly data: Data; readonly atMs: number; readonly staleAtMs: number }
  | { readonly state: 'error'; readonly error: ApiError };

interface Page {
  readonly items: readonly unknown[];
  readonly nextCursor?: string | undefined;
}

/** Told to whoever listens at the window when the session is over. */
export const SIGNED_OUT = 'tribo:signed-out';
/** Told when a reading finds the platform away: what is read seldom must not be shown for longer than the rest. */
const AWAY = 'tribo:away';
const RETRY_MS = 2000;
/** An answer may take so long before what is shown is called old. */
const LATE_MS = 4000;
/** However often something happens, it is not read again sooner. */
const SPACING_MS = 500;

/**
 * Reads a path now, `refreshMs` after each answer, and whenever `reload` is called; after a failure sooner, so that the page recovers by
 * itself. An error replaces the data: old numbers are never shown as current.
 */
export function useResource<Data>(path: string | undefined, refreshMs: number): [Resource<Data>, () => void] {
  return useReading(path, (signal) => call<Data>('GET', path ?? '', undefined, signal), refreshMs);
}

/** As {@link useResource}, of a list: its first page, and one more each time that `more` is called. The path holds a query. */
export function useList<List extends Page>(path: string, refreshMs: number) {
  const [pages, setPages] = useState(1);
  const read = async (signal: AbortSignal): Promise<List> => {
    const first = await call<List>('GET', path, undefined, signal);
    let { items, nextCursor }: Page = first;
    for (let page = 1; page < pages && nextCursor !== undefined; page++) {
      const next = await call<List>('GET', `${path}&cursor=${nextCursor}`, undefined, signal);
      items = [...items, ...next.items];
      nextCursor = next.nextCursor;
    }
    return { ...first, items, nextCursor };
  };
  const [list, reload] = useReading(path, read, refreshMs);
  const more = useCallback(() => {
    setPages((current) => current + 1);
    reload();
  }, [reload]);
  return [list, reload, more] as const;
}

function useReading<Data>(
  path: string | undefined,
  read: (signal: AbortSignal) => Promise<Data>,
  refreshMs: number,
): [Resource<Data>, () => void] {
  const [resource, setResource] = useState<Resource<Data>>({ state: 'loading' });
  const shownPath = useRef(path);
  const latestRead = useRef(read);
  latestRead.current = read;
  const readSoon = useRef(() => {});
  const reload = useCallback(() => readSoon.current(), []);

  useEffect(() => {
    if (path === undefined) return undefined;
    if (shownPath.current !== path) setResource({ state: 'loading' });
    shownPath.current = path;
    const controller = new AbortController();
    const { signal } = controller;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let beganMs = -Infinity;
    let isReading = false;
    let isWanted = false;
    let isAway = false;
    const isWantedAgain = () => isWanted;
    const readIn = (ms: number) => {
      clearTimeout(timer);
      const spacedMs = Math.max(ms, beganMs + SPACING_MS - performance.now());
      timer = setTimeout(() => void readOnce(), spacedMs);
    };
    const readOnce = async () => {
      beganMs = performance.now();
      isReading = true;
      isWanted = false;
      const shown = await latestRead.current(signal).then(
        (data): Resource<Data> => ({
          state: 'ready',
          data,
          atMs: Date.now(),
          staleAtMs: Date.now() + refreshMs + LATE_MS,
        }),
        (error: unknown): Resource<Data> => ({
          state: 'error',
          error: error instanceof ApiError ? error : new ApiError(String(error)),
        }),
      );
      isReading = false;
      if (signal.aborted) return;
      setResource(shown);
      if (shown.state !== 'error') {
        isAway = false;
        readIn(isWantedAgain() ? 0 : refreshMs);
        return;
      }
      const { status } = shown.error;
      if (status === 401) dispatchEvent(new Event(SIGNED_OUT));
      if (status === undefined && !isAway) {
        isAway = true;
        dispatchEvent(new Event(AWAY));
      }
      readIn(isWantedAgain() ? 0 : Math.min(refreshMs, RETRY_MS));
    };
    readSoon.current = () => {
      if (isReading) isWanted = true;
      else readIn(0);
    };
    // The timers of a page that nobody looks at rest.
    const onEvent = () => readSoon.current();
    document.addEventListener('visibilitychange', onEvent);
    addEventListener(AWAY, onEvent);
    void readOnce();
    return () => {
      document.removeEventListener('visibilitychange', onEvent);
      removeEventListener(AWAY, onEvent);
      clearTimeout(timer);
      controller.abort();
    };
  }, [path, refreshMs]);
  return [resource, reload];
}
