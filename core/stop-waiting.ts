import { PortError } from './errors.ts';

/** The result, or `cancelled` once the signal is aborted: the caller stops waiting, and what it asked for goes on. */
export async function orStopWaiting<Result>(result: Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
  if (!signal) return result;
  const stopped = () => new PortError('cancelled', 'the caller stopped waiting', { cause: signal.reason });
  return orElseOnAbort(result, signal, stopped);
}

/** The result, or the error once the signal is aborted. */
export async function orElseOnAbort<Result>(
  result: Promise<Result>,
  signal: AbortSignal,
  errorOf: () => Error,
): Promise<Result> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const stop = () => reject(errorOf());
  signal.addEventListener('abort', stop, { once: true });
  try {
    if (signal.aborted) throw errorOf();
    return await Promise.race([result, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
    result.catch(() => undefined);
  }
}
