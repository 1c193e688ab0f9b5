import { describe, expect, it } from '@jest/globals';
import { sampleActivation } from '../contracts/sample-alarm.ts';
import { applyTransition, type Alarm, type AlarmState, type JournalEntry } from '../domain/alarm.ts';
import type { AlarmId, MachineKey } from '../domain/ids.ts';
import type { AlarmPriority } from '../domain/rule.ts';
import { alarmFact, alarmFigures, type AlarmFact } from './alarm-figures.ts';

const machine = 'north/akron/press-7' as MachineKey;
const MINUTE = 60_000;
const DAY = 86_400_000;
const period = { fromMs: 0, toMs: DAY };

interface Options {
  readonly rule?: string;
  readonly priority?: AlarmPriority;
  readonly replayed?: boolean;
  readonly stateBefore?: AlarmState;
  readonly stateAfter?: AlarmState;
}

const activation = (atMs: number, { rule = 'hot', priority = 'medium', replayed = false }: Options = {}) =>
  sampleActivation({ rule, machine, atMs, replayed, part: { priority } });

function factsOf(atMs: number, options: Options = {}): readonly AlarmFact[] {
  const { stateBefore = 'normal', stateAfter = 'unacknowledged' } = options;
  const transition = activation(atMs, options);
  const entry: JournalEntry & { readonly machine: MachineKey } = {
    alarmId: 'a' as AlarmId,
    sequence: 1,
    transition,
    stateBefore,
    stateAfter,
    recordedAtMs: atMs,
    machine,
  };
  const fact = alarmFact(entry);
  return fact ? [fact] : [];
}

function alarm(atMs: number): Alarm {
  const outcome = applyTransition(undefined, activation(atMs));
  if (!outcome.ok) throw new Error(outcome.reason);
  return outcome.alarm;
}

const times = (count: number, everyMs: number, options: Options = {}) =>
  Array.from({ length: count }, (_unused, i) => factsOf(i * everyMs, options)).flat();

describe('alarm figures', () => {
  it('count what called for attention, by day, hour and ten minutes', () => {
    expect(alarmFigures(times(144, 10 * MINUTE), [], period)).toMatchObject({
      calls: 144,
      callsPerDay: 144,
      callsPerHour: 6,
      callsPerTenMinutes: 1,
      mostInTenMinutes: 1,
      floodShare: 0,
      chattering: [],
    });
  });

  it.each<[string, Options]>([
    ['joined an alarm that called already', { stateBefore: 'unacknowledged' }],
    ['was shelved', { stateAfter: 'shelved' }],
    ['was replayed', { replayed: true }],
  ])('leave out what %s', (_what, options) => {
    expect(alarmFigures(times(5, 2 * MINUTE, options), [], period).calls).toBe(0);
  });

  it('see a flood in more than ten calls in ten minutes, not in ten', () => {
    expect(alarmFigures(times(10, MINUTE), [], period).floodShare).toBe(0);
    expect(alarmFigures(times(11, MINUTE / 2), [], period)).toMatchObject({
      floodShare: 1 / 144,
      mostInTenMinutes: 11,
    });
  });

  it('name conditions that came three times in a minute', () => {
    const facts = [
      ...times(3, MINUTE / 2),
      ...times(3, MINUTE, { rule: 'slow' }),
      ...times(5, 1000, { rule: 'worst' }),
    ];
    expect(alarmFigures(facts, [], period).chattering).toEqual([
      { machine, partKey: 'worst||', times: 5 },
      { machine, partKey: 'hot||', times: 3 },
    ]);
  });

  it('count alarms that have been active for more than a day', () => {
    expect(alarmFigures([], [alarm(-1), alarm(1)], period).stale).toBe(1);
  });

  it('tell how calls are spread over priorities', () => {
    const facts = [...times(8, MINUTE * 20, { priority: 'low' }), ...times(2, MINUTE * 20, { priority: 'high' })];
    expect(alarmFigures(facts, [], period).shares).toEqual({ low: 0.8, medium: 0, high: 0.2, critical: 0 });
    expect(alarmFigures([], [], period).shares).toEqual({ low: 0, medium: 0, high: 0, critical: 0 });
  });
});
