import { PortError, throwIfAborted } from '#core/errors.ts';

/** Does `work`, and stops waiting for it when the signal says so: the database may finish it all the same. @throws PortError cancelled */
export async function abortable<Result>(signal: AbortSignal | undefined, work: () => Promise<Result>): Promise<Result> {
  throwIfAborted(signal);
  if (!signal) return work();
  const aborted = Promise.withResolvers<never>();
  const abort = (): void =>
    aborted.reject(new PortError('cancelled', 'the caller stopped waiting', { cause: signal.reason }));
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work(), aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
