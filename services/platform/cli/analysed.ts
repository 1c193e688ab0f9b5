import { setTimeout as sleep } from 'node:timers/promises';
import type { StreamName } from '#core/domain/event.ts';
import type { LedgerView } from '#services/api-gateway/schemas/ledger.ts';
import { isToldByLedger } from '#services/timeseries-service/store-group.ts';
import { STREAM_LAG } from '#services/shared/observability/stream-lag.ts';
import type { ApiClient } from './api-client.ts';
import { CommandError } from './output.ts';

const WITHIN_MS = 300_000;
/** But of the raw archive, which judges nothing and gathers for a while. */
const LAG = new RegExp(`^${STREAM_LAG}\\{stream="([^"]+)",group="(?!raw-archive")([^"]+)".*\\} (\\d+)$`, 'gm');
/** Each level of streams is fed by the groups that read the ones before it. */
const LEVELS: readonly (readonly StreamName[])[] = [
  ['metrics', 'raw-waveform'],
  ['features', 'windows'],
  ['inference-results'],
];

/** When the platform had done what. Both from the call, in seconds. */
export interface Analysed {
  readonly ledger: LedgerView;
  /** What had been acknowledged before was settled. */
  readonly settledAfterS: number;
  /** Each group had read what that led to: features, predictions and alarms are there too. */
  readonly analysedAfterS: number;
}

/**
 * Waits until everything that was acknowledged before the call is settled, and judged by every stage; what others send meanwhile is not waited
 * for. A platform that is being started again is waited for.
 * @throws CommandError when it takes more than five minutes.
 */
export async function untilAnalysed(client: ApiClient): Promise<Analysed> {
  const began = performance.now();
  const since = () => (performance.now() - began) / 1000;
  const readLedger = () => client.request<LedgerView>('GET', '/v1/ledger');
  let atFirst: LedgerView | undefined;
  const ledger = await untilGiven(async () => {
    const current = await readLedger();
    atFirst ??= current;
    return isSettledUpTo(atFirst, current) ? current : undefined;
  }, 'the ledger still has items pending');
  const settledAfterS = since();
  // What waited at one level is at the next one when the former was seen empty: a group publishes before it acknowledges.
  for (const level of LEVELS) await untilReadUp(client, level);
  return { ledger, settledAfterS, analysedAfterS: since() };
}

function isSettledUpTo(atFirst: LedgerView, { stages }: LedgerView): boolean {
  return atFirst.stages.every(({ stream, accepted }) => {
    const now = stages.find((stage) => stage.stream === stream);
    return now !== undefined && now.accepted - now.pending >= accepted;
  });
}

/** Waits until each group was seen with nothing left to read of these streams; others may send to them meanwhile. */
async function untilReadUp(client: ApiClient, streams: readonly string[]): Promise<void> {
  const readUp = new Set<string>();
  await untilGiven(async () => {
    const groups = (await groupsOf(client)).filter(
      ({ stream, group }) => streams.includes(stream) && !isToldByLedger(stream, group),
    );
    for (const { stream, group, events } of groups) if (events === 0) readUp.add(`${stream}/${group}`);
    return groups.every(({ stream, group }) => readUp.has(`${stream}/${group}`)) ? true : undefined;
  }, 'what was sent is not judged yet');
}

async function groupsOf(client: ApiClient) {
  const response = await fetch(new URL('/metrics', client.url), { signal: AbortSignal.timeout(10_000) });
  const text = await response.text();
  if (!response.ok) throw new CommandError('unreachable', `/metrics answered ${response.status}`);
  return Array.from(text.matchAll(LAG), ([, stream = '', group = '', events]) => ({
    stream,
    group,
    events: Number(events),
  }));
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
