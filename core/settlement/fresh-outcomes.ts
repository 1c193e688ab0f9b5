import { PortError } from '../errors.ts';
import type { EventOutcome, SettleBatch } from '../ports/time-series-store.ts';
import { missingBefore } from './missing-events.ts';
import type { StateChange } from './settlement-state.ts';

/** Refuses a batch of a holder whose lease somebody else has taken; a newer fence is noted. @throws PortError failed_precondition. */
export function checkFence(batch: SettleBatch, change: StateChange): void {
  const key = ['fence', batch.stream, batch.group] as const;
  const seen = change.get(key) ?? 0;
  if (batch.fence < seen) {
    throw new PortError(
      'failed_precondition',
      `fence ${batch.fence} of group ${batch.group} on ${batch.stream} is older than ${seen}: another holder has the lease`,
    );
  }
  if (batch.fence > seen) change.set(key, batch.fence);
}

/** The outcomes above the settled progress of their publisher, to the highest of which that moves up, and how many events are missing between. */
export function dropSettled(
  { stream, group, outcomes, sparse }: SettleBatch,
  change: StateChange,
): { readonly fresh: readonly EventOutcome[]; readonly lost: number } {
  const fresh: EventOutcome[] = [];
  let lost = 0;
  const keyOf = (source: string, epoch: number) => ['progress', stream, group, source, epoch] as const;
  let run: { source: string; epoch: number; settled: number | undefined } | undefined;
  const endRun = () => {
    if (run?.settled !== undefined) change.raise(keyOf(run.source, run.epoch), run.settled);
  };
  for (const outcome of outcomes) {
    const { source, epoch, seq } = outcome.event;
    if (run?.source !== source || run.epoch !== epoch) {
      endRun();
      run = { source, epoch, settled: change.get(keyOf(source, epoch)) };
    }
    if (run.settled !== undefined && seq <= run.settled) continue;
    if (!sparse) {
      const earlierEpoch = () => change.hasEarlierEpoch(stream, group, source, epoch);
      lost += missingBefore(seq, { seq: run.settled, earlierEpoch });
    }
    run.settled = seq;
    fresh.push(outcome);
  }
  endRun();
  change.add(['lost', stream, group], lost);
  return { fresh, lost };
}
