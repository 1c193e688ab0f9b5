import { orElseOnAbort } from '#core/stop-waiting.ts';

/**
 * For calls of an SDK that take no signal: stops waiting, and lets the call end by itself. Why it stopped is for whoever made the signal to say,
 * as `cloudCall` does.
 */
export function waitFor<Result>(call: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return orElseOnAbort(call, signal, () => new Error('stopped waiting', { cause: signal.reason }));
}
