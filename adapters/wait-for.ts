import { once } from 'node:events';

/** For calls of an SDK that take no signal: stops waiting, and lets the call end by itself. */
export async function waitFor<Result>(call: Promise<Result>, signal: AbortSignal): Promise<Result> {
  call.catch(() => undefined);
  const stopped = new AbortController();
  const aborted = once(signal, 'abort', { signal: stopped.signal }).then(
    () => Promise.reject(new Error('stopped waiting', { cause: signal.reason })),
    () => new Promise<never>(() => undefined),
  );
  try {
    signal.throwIfAborted();
    return await Promise.race([call, aborted]);
  } finally {
    stopped.abort();
  }
}
