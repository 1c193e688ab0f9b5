import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { machineKey, type MachineId, type SiteId, type TenantId } from '#core/domain/ids.ts';
import { readHistory } from '#core/domain/machine-history.ts';
import { machineSchema } from '#core/domain/plant.ts';
import { priorityRank, type AlarmPriority } from '#core/domain/rule.ts';
import type { Health } from '../schemas/machines.ts';
import { FleetMachineState } from './fleet-machine-state.ts';
import { fleetBoard, fleetPage } from './fleet-page.ts';

const at = { nowMs: 1_000_000, staleAfterMs: 60_000 };

interface Given {
  readonly seenMs: number | undefined;
  readonly alarm: { readonly priority: AlarmPriority; readonly unacknowledged: number } | undefined;
}

function stateOf(id: string, { seenMs, alarm }: Given): FleetMachineState {
  const machine = machineSchema.parse({ id, class: 'pump', name: `Pump ${id}` });
  const key = machineKey('t' as TenantId, 's' as SiteId, id as MachineId);
  const state = new FleetMachineState({ key, machine, revision: 1 });
  if (seenMs !== undefined) state.observe({ key, receivedAtMs: seenMs, metrics: {} });
  const counts = alarm && { open: 1, active: 1, unacknowledged: alarm.unacknowledged, worstPriority: alarm.priority };
  state.setAlarms(counts, []);
  return state;
}

const machines = fc.uniqueArray(
  fc.record({
    id: fc.stringMatching(/^[a-c0-9]{1,3}$/),
    seenMs: fc.constantFrom(undefined, 999_000, 1000),
    alarm: fc.option(
      fc.record({
        priority: fc.constantFrom('low', 'medium', 'high', 'critical' as const),
        unacknowledged: fc.constantFrom(0, 1),
      }),
      { nil: undefined },
    ),
  }),
  { selector: ({ id }) => id, maxLength: 40 },
);

const severity = { critical: 0, warning: 1, unknown: 2, ok: 3 };

describe('a page of the fleet', () => {
  it('shows each machine once over all pages, worst first, whatever the page size', () => {
    fc.assert(
      fc.property(machines, fc.integer({ min: 1, max: 7 }), (given, limit) => {
        const board = fleetBoard(
          given.map((each) => stateOf(each.id, each)),
          at,
        );
        const seen = [];
        for (let cursor: string | undefined; ;) {
          const page = fleetPage(board, { limit, cursor }, 0);
          expect(page.items.length).toBeLessThanOrEqual(limit);
          seen.push(...page.items);
          cursor = page.nextCursor;
          if (cursor === undefined) break;
        }
        expect(seen.map(({ machine }) => machine).sort()).toEqual(given.map(({ id }) => id).sort());
        const ranks = seen.map(({ health }) => severity[health.status]);
        expect(ranks).toEqual(ranks.toSorted((a, b) => a - b));
        const open = seen.flatMap(({ openAlarms: { highestPriority } }) => highestPriority ?? []);
        expect(open).toEqual(open.toSorted((a, b) => priorityRank(b) - priorityRank(a)));
        const { totals } = fleetPage(board, { limit: 1 }, 0);
        expect(totals.critical + totals.warning + totals.ok + totals.unknown).toBe(given.length);
      }),
    );
  });

  it.each<[string, Given, Health]>([
    [
      'never heard of',
      { seenMs: undefined, alarm: undefined },
      {
        status: 'unknown',
        reasons: ['Nothing was ever received'],
        action: 'Connect its device: npx tribo device add a',
      },
    ],
    [
      'silent for too long',
      { seenMs: 1000, alarm: undefined },
      {
        status: 'unknown',
        reasons: ['Nothing received for too long'],
        sinceMs: 1000,
        action: 'Check power and network of its device, then the sensor.',
      },
    ],
    ['heard of, without an alarm', { seenMs: 999_000, alarm: undefined }, { status: 'ok', reasons: [] }],
    [
      'with a medium alarm',
      { seenMs: 999_000, alarm: { priority: 'medium', unacknowledged: 1 } },
      { status: 'warning', reasons: [] },
    ],
    [
      'with a high alarm',
      { seenMs: 999_000, alarm: { priority: 'high', unacknowledged: 0 } },
      { status: 'critical', reasons: [] },
    ],
    [
      'silent, with a critical alarm',
      { seenMs: 1000, alarm: { priority: 'critical', unacknowledged: 1 } },
      { status: 'critical', reasons: [] },
    ],
  ])('judges a machine %s', (_what, given, health) => {
    expect(stateOf('a', given).view(at).health).toEqual(health);
  });

  it('says that a machine is under maintenance as long as it is, also of one that sends nothing', () => {
    const state = stateOf('a', { seenMs: undefined, alarm: undefined });
    const note = { id: 'n', kind: 'maintenance-start', atMs: at.nowMs, by: 'maria', text: '' } as const;
    state.setHistory(readHistory([note, { ...note, id: 'e', kind: 'maintenance-end', atMs: at.nowMs + 10 }]));
    const seen = [-1, 0, 9, 10].map((after) => state.view({ ...at, nowMs: at.nowMs + after }).operatingState);
    expect(seen).toEqual(['unknown', 'maintenance', 'maintenance', 'unknown']);
  });

  it('filters by status and by part of a name', () => {
    const board = fleetBoard(
      [stateOf('a1', { seenMs: 999_000, alarm: undefined }), stateOf('a2', { seenMs: undefined, alarm: undefined })],
      at,
    );
    expect(fleetPage(board, { limit: 10, status: 'ok' }, 0)).toMatchObject({
      items: [{ machine: 'a1' }],
      totals: { machines: 1 },
    });
    expect(fleetPage(board, { limit: 10, search: 'PUMP A2' }, 0)).toMatchObject({ items: [{ machine: 'a2' }] });
    expect(fleetPage(board, { limit: 10, site: 'other' }, 0).items).toEqual([]);
  });
});
