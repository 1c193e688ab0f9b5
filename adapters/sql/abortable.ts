import { throwIfAborted } from '#core/errors.ts';
import { orStopWaiting } from '#core/stop-waiting.ts';

/** Does `work`, and stops waiting for it when the signal says so: the database may finish it all the same. @throws PortError cancelled */
export async function abortable<Result>(signal: AbortSignal | undefined, work: () => Promise<Result>): Promise<Result> {
  throwIfAborted(signal);
  return orStopWaiting(work(), signal);
}
