/** What was made may be much. */
export const SWEEP_WITHIN_MS = 300_000;
/** A case that an interruption finds running may end by itself, so that it makes nothing after what it made was removed. */
const AFTER_ABORT_MS = 10_000;

/** What is thrown of work that hangs. */
export class Overdue extends Error {
  override readonly name = 'Overdue';
}

/** Waits for the work so long, and once the signal is aborted a little longer. */
export async function within<Result>(ms: number, work: Promise<Result>, signal?: AbortSignal): Promise<Result> {
  const overdue = Promise.withResolvers<never>();
  const giveUpAfter = (limitMs: number) =>
    setTimeout(() => overdue.reject(new Overdue(`did not end within ${limitMs / 1000} s`)), limitMs);
  let timer = giveUpAfter(ms);
  const hurry = (): void => {
    clearTimeout(timer);
    timer = giveUpAfter(AFTER_ABORT_MS);
  };
  signal?.addEventListener('abort', hurry, { once: true });
  try {
    return await Promise.race([work, overdue.promise]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', hurry);
  }
}
