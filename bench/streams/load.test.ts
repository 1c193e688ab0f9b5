import { describe, expect, it } from '@jest/globals';
import type { MachineEvent } from '#core/domain/event.ts';
import { Load } from './load.ts';

const EVENTS = 1000;

describe('the load of a stream bench', () => {
  it.each<[string, (events: MachineEvent[]) => MachineEvent[], { lost: number; twiceOrLate: number }]>([
    ['all came in order', (events) => events, { lost: 0, twiceOrLate: 0 }],
    ['machines overtook one another', (events) => byMachine(events), { lost: 0, twiceOrLate: 0 }],
    ['the last never came', (events) => events.slice(0, -1), { lost: 1, twiceOrLate: 0 }],
    ['one in the middle never came', (events) => events.toSpliced(500, 1), { lost: 1, twiceOrLate: 0 }],
    ['one came twice', (events) => [...events, events[3]!], { lost: 0, twiceOrLate: 1 }],
    ['a machine came out of order', (events) => swapped(events), { lost: 1, twiceOrLate: 1 }],
  ])('tells when %s', (_, deliver, faults) => {
    const load = new Load();
    const events = [load.batch(EVENTS / 2, 0, 2), load.batch(EVENTS / 2, 1, 2)].flat();
    for (const { payload } of deliver(events)) load.take(payload);
    expect(load.faults()).toEqual(faults);
  });
});

function byMachine(events: readonly MachineEvent[]): MachineEvent[] {
  return events.toSorted((a, b) => a.key.localeCompare(b.key));
}

/** The first two events of the first machine, each in the other's place. */
function swapped(events: readonly MachineEvent[]): MachineEvent[] {
  const second = events.findIndex(({ key }, i) => i > 0 && key === events[0]!.key);
  return events.with(0, events[second]!).with(second, events[0]!);
}
