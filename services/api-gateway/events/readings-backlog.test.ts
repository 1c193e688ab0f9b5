import { describe, expect, it } from '@jest/globals';
import { machineKey, type MachineId, type SiteId, type TenantId } from '#core/domain/ids.ts';
import type { LiveMachine } from '#core/live/live-feed.ts';
import { ReadingsBacklog } from './readings-backlog.ts';

const live = (id: number, metrics: Record<string, number> = { rpm: 1 }, tsMs = 1): LiveMachine => ({
  key: machineKey('north' as TenantId, 'akron' as SiteId, `m-${id}` as MachineId),
  receivedAtMs: tsMs,
  tsMs,
  metrics,
});
const fleet = Array.from({ length: 12 }, (_unused, id) => live(id));
const keysOf = (machines: readonly LiveMachine[]) => machines.map(({ key }) => key.split('/').at(-1));

describe('the backlog of readings', () => {
  it('hands on what fits as it came', () => {
    const backlog = new ReadingsBacklog();
    expect(backlog.take(fleet, 12)).toBe(fleet);
    expect(backlog.take([], 12)).toEqual([]);
  });

  it('takes every machine in its turn while all of them change all the time', () => {
    const backlog = new ReadingsBacklog();
    const turns = Array.from({ length: 6 }, () => keysOf(backlog.take(fleet, 5)));
    const counts = Map.groupBy(turns.flat(), (key) => key);
    expect(counts.size).toBe(fleet.length);
    for (const { length } of counts.values()) expect(length).toBeGreaterThanOrEqual(2);
    expect(turns.every(({ length }) => length === 5)).toBe(true);
  });

  it('sends the rest where nothing more changes', () => {
    const backlog = new ReadingsBacklog();
    const turns = [fleet, [], [], []].map((changed) => backlog.take(changed, 5).length);
    expect(turns).toEqual([5, 5, 2, 0]);
  });

  it('joins the changes of a machine that waits, and keeps its place', () => {
    const backlog = new ReadingsBacklog();
    backlog.take([live(0), live(1, { rpm: 1, heat: 20 }, 1), live(2)], 1);
    expect(backlog.take([live(3), live(1, { rpm: 2 }, 5)], 1)).toEqual([
      { ...live(1), receivedAtMs: 5, tsMs: 5, metrics: { rpm: 2, heat: 20 } },
    ]);
    expect(keysOf(backlog.take([], 5))).toEqual(['m-2', 'm-3']);
  });
});
