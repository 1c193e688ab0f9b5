import type { StreamName } from '../domain/event.ts';
import type { ReadableTail } from '../ports/event-stream.ts';
import type { Receipts } from './receipts.ts';

export interface TailLimits {
  readonly streams: readonly StreamName[];
  readonly maxEvents: number;
  readonly sinceMs: number;
  readonly nowMs: number;
  /** How far an accepted event's `ts` may have been ahead of its acceptance. */
  readonly maxAheadMs: number;
}

/** From which `ts` on receipts are complete, in epoch milliseconds. */
export interface Coverage {
  /** Where all that the site ever took in went through its logs. */
  readonly fromMs: number;
  /** Where the site has moved here: what came before the first event of the logs may have come to where it was before. */
  readonly movedFromMs: number;
}

/**
 * Reads the receipts of the last process back from the log's tail, and says from which time on they are complete: what was accepted
 * before the tail began can't have a `ts` later than its beginning plus the allowed clock skew.
 */
export async function rebuildReceipts(receipts: Receipts, log: ReadableTail, limits: TailLimits): Promise<Coverage> {
  const { maxAheadMs } = limits;
  let oldestCoveredMs = limits.sinceMs;
  let oldestOfAllMs = limits.nowMs;
  for (const stream of limits.streams) {
    let events = 0;
    let oldestMs = Infinity;
    for await (const batch of log.readTail(stream, limits)) {
      for (const event of batch) {
        events++;
        if (event.acceptedAtMs < oldestMs) oldestMs = event.acceptedAtMs;
        if (event.kind !== 'telemetry' && event.kind !== 'waveform') continue;
        const scope = receipts.scope(event.key);
        receipts.has(scope, event.eventId);
        const [w0 = 0, w1 = 0, w2 = 0, w3 = 0] = receipts.words;
        receipts.add(scope, latestTs(event.payload), w0, w1, w2, w3);
      }
    }
    if (events >= limits.maxEvents) oldestCoveredMs = Math.max(oldestCoveredMs, oldestMs);
    oldestOfAllMs = Math.min(oldestOfAllMs, oldestMs);
  }
  const movedFromMs = Math.max(oldestCoveredMs, oldestOfAllMs) + maxAheadMs;
  return { fromMs: oldestCoveredMs + maxAheadMs, movedFromMs };
}

/** The largest number behind any `"ts":` of a stored payload: the event's own time, or later, which is on the safe side. */
function latestTs(payload: Uint8Array): number {
  const text = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('latin1');
  let latest = -Infinity;
  if (!text.includes('\\')) {
    for (let at = text.indexOf(TS); at >= 0; at = text.indexOf(TS, at + TS.length)) {
      const ts = Number.parseInt(text.slice(at + TS.length, at + TS.length + 18).replace(/^\s*:\s*/, ''), 10);
      if (ts > latest) latest = ts;
    }
  }
  return latest > -Infinity ? latest : (JSON.parse(text) as { readonly ts: number }).ts;
}

const TS = '"ts"';
