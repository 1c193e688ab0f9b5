import { PortError, throwIfAborted } from './errors.ts';

/** The result, or `cancelled` once the signal is aborted: the caller stops waiting, and what it asked for goes on. */
export async function orStopWaiting<Result>(result: Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
  if (!signal) return result;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const stop = () => reject(new PortError('cancelled', 'the caller stopped waiting', { cause: signal.reason }));
  signal.addEventListener('abort', stop, { once: true });
  try {
    throwIfAborted(signal);
    return await Promise.race([result, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
    result.catch(() => undefined);
  }
}
