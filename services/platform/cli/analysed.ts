import { setTimeout as sleep } from 'node:timers/promises';
import type { LedgerView } from '#services/api-gateway/schemas/ledger.ts';
import { STREAM_LAG } from '#services/shared/observability/stream-lag.ts';
import type { ApiClient } from './api-client.ts';
import { CommandError } from './output.ts';

const WITHIN_MS = 300_000;
/** But of the raw archive, which judges nothing and gathers for a while. */
const LAG = new RegExp(`^${STREAM_LAG}\\{(?!.*"raw-archive").*\\} (\\d+)$`, 'gm');

/** When the platform had done what. Both from the call, in seconds. */
export interface Analysed {
  readonly ledger: LedgerView;
  /** Nothing was pending in the ledger any more. */
  readonly settledAfterS: number;
  /** No group had anything left to read: features, predictions and alarms are there too. */
  readonly analysedAfterS: number;
}

/**
 * Waits until everything that was acknowledged is settled, and judged by every stage. A platform that is being started again is waited for.
 * @throws CommandError when it takes more than five minutes.
 */
export async function untilAnalysed(client: ApiClient): Promise<Analysed> {
  const began = performance.now();
  const since = () => (performance.now() - began) / 1000;
  const ledger = await untilGiven(async () => {
    const current = await client.request<LedgerView>('GET', '/v1/ledger');
    return current.pending === 0 ? current : undefined;
  }, 'the ledger still has items pending');
  const settledAfterS = since();
  // What one stage publishes just before it acknowledges, the next one has to read: empty twice, and not only once.
  let empty = 0;
  await untilGiven(async () => {
    empty = (await eventsWaiting(client)) === 0 ? empty + 1 : 0;
    return empty >= 2 ? true : undefined;
  }, 'what was sent is not judged yet');
  return { ledger, settledAfterS, analysedAfterS: since() };
}

async function eventsWaiting(client: ApiClient): Promise<number> {
  const response = await fetch(new URL('/metrics', client.url), { signal: AbortSignal.timeout(10_000) });
  const text = await response.text();
  if (!response.ok) throw new CommandError('unreachable', `/metrics answered ${response.status}`);
  return [...text.matchAll(LAG)].reduce((sum, [, events]) => sum + Number(events), 0);
}

async function untilGiven<Result>(attempt: () => Promise<Result | undefined>, otherwise: string): Promise<Result> {
  const untilMs = performance.now() + WITHIN_MS;
  let failure: unknown;
  for (;;) {
    try {
      const given = await attempt();
      if (given !== undefined) return given;
      failure = undefined;
    } catch (error) {
      failure = error;
    }
    if (performance.now() > untilMs) {
      if (failure !== undefined) throw failure as Error;
      throw new CommandError('failed', `${otherwise} after ${WITHIN_MS / 1000} s`, 'see: npx tribo ledger');
    }
    await sleep(100);
  }
}
