import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  FORGOTTEN_AFTER_MS as DAY,
  maintenanceAt,
  MAX_MAINTENANCE_MS as WEEK,
  readHistory,
  type MachineEventKind,
} from './machine-history.ts';

type Noted = readonly [kind: MachineEventKind, atMs: number];

const HOUR = 3_600_000;
const START = 'maintenance-start';
const END = 'maintenance-end';

function read(noted: readonly Noted[]) {
  return readHistory(noted.map(([kind, atMs], i) => ({ id: `${i}`, kind, atMs, by: 'maria', text: `note ${i}` })));
}

describe('the history of a machine', () => {
  it.each<[string, readonly Noted[], readonly (readonly [number, number, boolean])[], string[]]>([
    ['from its start to its end', [[START, 0], [END, HOUR]], [[0, HOUR, true]], []], // prettier-ignore
    ['twice', [[START, 0], [END, 1], [START, 5], [END, 7]], [[0, 1, true], [5, 7, true]], []], // prettier-ignore
    ['whatever else was noted', [[START, 0], ['note', 1], ['repair', 2], [END, 3]], [[0, 3, true]], []], // prettier-ignore
    ['for a day where its end was forgotten', [[START, 5]], [[5, 5 + DAY, false]], []],
    ['until an end that was noted days later', [[START, 0], [END, 3 * DAY]], [[0, 3 * DAY, true]], []], // prettier-ignore
    ['for a day where an end comes after more than a week', [[START, 0], [END, WEEK + 1]], [[0, DAY, false]], ['1']], // prettier-ignore
    ['for a day more where its start is noted again', [[START, 0], [START, 9]], [[0, 9 + DAY, false]], ['1']], // prettier-ignore
    ['anew where the first end was forgotten', [[START, 0], [START, 2 * DAY], [END, 2 * DAY + 5]], [[0, DAY, false], [2 * DAY, 2 * DAY + 5, true]], []], // prettier-ignore
    ['never where only ends were noted', [[END, 5], [END, 6]], [], ['0', '1']], // prettier-ignore
    ['once where its end was noted twice', [[START, 0], [END, 5], [END, 6]], [[0, 5, true]], ['2']], // prettier-ignore
  ])('says it was under maintenance %s', (_how, noted, periods, remarked) => {
    const { maintenance, remarks } = read(noted);
    expect(maintenance.map(({ fromMs, untilMs, endNoted }) => [fromMs, untilMs, endNoted])).toEqual(periods);
    expect([...remarks.keys()]).toEqual(remarked);
  });

  it('says who began the maintenance and why', () => {
    expect(read([[START, 0]]).maintenance).toMatchObject([{ by: 'maria', text: 'note 0' }]);
  });

  it('tells in words what an event did not do', () => {
    const { remarks } = read([[END, 0], [START, HOUR], [START, 2 * HOUR]]); // prettier-ignore
    expect([...remarks.values()]).toEqual([
      'No maintenance was under way then: it changes nothing unless a start before it is noted.',
      'Maintenance was under way since 1970-01-01T01:00:00.000Z: it goes on.',
    ]);
  });

  it('knows when it was made another machine', () => {
    expect(read([['repair', 3], [START, 4], ['bearing-change', 5], [END, 6]]).renewedAtMs).toEqual([3, 5]); // prettier-ignore
  });

  it('never has overlapping maintenance, nor a period that no note bounds, whatever was noted', () => {
    const kind = fc.constantFrom<MachineEventKind>(START, END, 'repair', 'note');
    const noted = fc.array(fc.tuple(kind, fc.integer({ min: 0, max: 20 * DAY })), { maxLength: 30 });
    fc.assert(
      fc.property(noted, fc.integer({ min: 0, max: 30 * DAY }), (events, atMs) => {
        const sorted = events.toSorted(([, left], [, right]) => left - right);
        const history = read(sorted);
        let endMs = -Infinity;
        for (const { fromMs, untilMs } of history.maintenance) {
          expect(fromMs).toBeGreaterThanOrEqual(endMs);
          expect(untilMs).toBeGreaterThanOrEqual(fromMs);
          endMs = untilMs;
        }
        if (!maintenanceAt(history, atMs)) return;
        const newest = sorted.findLast(([each, at]) => each === START && at <= atMs);
        expect(newest).toBeDefined();
        expect(atMs - newest![1]).toBeLessThan(WEEK);
      }),
    );
  });
});

describe('the maintenance at a time', () => {
  const history = read([[START, 10], [END, 20], [START, 30], [END, 40]]); // prettier-ignore

  it.each([
    [9, 9, undefined],
    [10, 10, 10],
    [19, 19, 10],
    [20, 20, undefined],
    [15, 35, 30],
    [0, 12, 10],
    [20, 29, undefined],
    [41, 99, undefined],
  ])('from %d to %d is that from %p', (fromMs, toMs, since) => {
    expect(maintenanceAt(history, fromMs, toMs)?.fromMs).toBe(since);
  });
});
