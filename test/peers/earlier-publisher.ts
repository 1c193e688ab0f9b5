import { expect } from '@jest/globals';
import { acknowledgeInto } from '#core/contracts/acknowledge-into.ts';
import { sampleEvent } from '#core/contracts/sample-event.ts';
import { until } from '#core/contracts/until.ts';
import type { StampedEvent } from '#core/domain/event.ts';
import type { TenantId } from '#core/domain/ids.ts';
import type { MeasuredStream } from '#core/ports/event-stream.ts';

const GROUP = 'store';
const TENANT = 'north' as TenantId;
const KEY = `${TENANT}/akron/m1`;
const EARLIER = { source: 'intake-1a2b3c4d/0', epoch: 9 };

/** What a publisher wrote that counted items by partition: each record has its machine as the key, and the batch its totals under this name. */
export interface EarlierBatch {
  readonly key: string;
  readonly values: readonly Buffer[];
  readonly totals: { readonly name: string; readonly value: string };
}

/**
 * Expects of a stream of one partition, on which an earlier version left events and whose store had settled the first of them, that this version
 * delivers the rest and its own, and that what is accepted is at each step what was settled and what this version published.
 */
export async function expectCountsGoOn(
  stream: MeasuredStream,
  { withKey }: { readonly withKey: boolean },
  write: (batch: EarlierBatch) => Promise<void> | void,
): Promise<void> {
  await stream.declareGroup('metrics', GROUP);
  await write({
    key: KEY,
    values: [1, 2].map((seq) => Buffer.from(`${lineOf(seq, withKey)}\n{}`)),
    totals: { name: 'tribo-totals-1', value: JSON.stringify({ [TENANT]: 6 }) },
  });
  await stream.publish('metrics', [sampleEvent('e-1', { items: 2 }), sampleEvent('e-2', { items: 2 })]);
  const received: StampedEvent[] = [];
  await stream.subscribe('metrics', GROUP, acknowledgeInto(received), {
    maxBatchEvents: 10,
    resumeAfter: [{ ...EARLIER, seq: 1 }],
  });
  await until(() => received.length >= 3, 'the rest of the earlier events, and its own');
  const { source, epoch } = received.at(-1)!;
  const own = `${source}/${epoch}`;
  expect(received.map(({ eventId, part, cumulativeItems }) => [eventId, part, cumulativeItems])).toEqual([
    ['earlier-2', '0', 6],
    ['e-1', own, 2],
    ['e-2', own, 4],
  ]);
  const accepted = async (settled: Readonly<Record<string, number>>) =>
    (await stream.acceptedItems('metrics', { settled: new Map([[TENANT, new Map(Object.entries(settled))]]) })).get(
      TENANT,
    );
  expect(await accepted({ 0: 3 })).toBe(3 + 4);
  expect(await accepted({ 0: 6 })).toBe(6 + 4);
  expect(await accepted({ 0: 6, [own]: 4 })).toBe(6 + 4);
}

function lineOf(seq: number, withKey: boolean): string {
  const { source, epoch } = EARLIER;
  const line = ['tribo-2', `earlier-${seq}`, 'telemetry', 3, seq, source, epoch, seq, 3 * seq, 0];
  return JSON.stringify(withKey ? [...line, null, KEY] : line);
}
