import { stampedEvent } from '#core/contracts/sample-event.ts';
import type { MachineKey, TenantId } from '#core/domain/ids.ts';
import type { EventOutcome, SettleBatch } from '#core/ports/time-series-store.ts';

const MACHINES = 20;
export const METRICS_A_MESSAGE = 3;
const START_MS = Date.UTC(2026, 0, 15);

export const TENANT = 'acme' as TenantId;

/** The machines that {@link messages} come from. */
export const MACHINE_KEYS = Array.from({ length: MACHINES }, (_, i) => `${TENANT}/akron/machine-${i}` as MachineKey);

/** The messages `fromSeq` to `toSeq` of one publisher: the same every time, a few of them late. */
export function messages(fromSeq: number, toSeq: number): EventOutcome[] {
  return Array.from({ length: toSeq - fromSeq + 1 }, (_, i) => message(fromSeq + i));
}

/** A settlement of {@link messages}. */
export function batchOf(outcomes: readonly EventOutcome[]): SettleBatch {
  return { stream: 'metrics', group: 'store', fence: 1, outcomes };
}

function message(seq: number): EventOutcome {
  const ts = START_MS + seq * 100 - (seq % 50 === 0 ? 200_000 : 0);
  const event = stampedEvent(seq, {
    ...{ key: MACHINE_KEYS[seq % MACHINES]!, items: METRICS_A_MESSAGE },
    ...{ acceptedAtMs: START_MS + seq * 100, payload: new Uint8Array() },
  });
  const readings = Array.from({ length: METRICS_A_MESSAGE }, (_, i) => ({ metric: `metric_${i}`, value: seq + i }));
  return { type: 'readings', event, ts, readings };
}
