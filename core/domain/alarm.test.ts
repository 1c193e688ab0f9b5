import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  ALARM_STATES,
  applyTransition,
  foldJournal,
  MAX_ALARM_PARTS,
  MAX_SHELVE_MS,
  OPERATOR_ACTIONS,
  partKey,
  type Activation,
  type Alarm,
  type AlarmState,
  type AlarmTransition,
  type OperatorAction,
  type OperatorTransition,
  type ReturnToNormal,
} from './alarm.ts';
import type { AlarmId, MachineKey } from './ids.ts';
import type { AlarmPriority } from './rule.ts';

const machine = 'north/akron/press-7' as MachineKey;
const alarmId = 'raise' as AlarmId;
const T0 = 1_000_000;
const HOUR = 3_600_000;

interface ActivationOptions {
  readonly atMs?: number;
  readonly latching?: boolean;
  readonly priority?: AlarmPriority;
}

function activate(
  rule = 'hot',
  { atMs = T0, latching = false, priority = 'medium' }: ActivationOptions = {},
): Activation {
  return {
    type: 'activate',
    id: rule === 'hot' && atMs === T0 ? alarmId : `${rule}@${atMs}`,
    machine,
    atMs,
    replayed: false,
    part: {
      key: partKey(rule),
      kind: 'threshold',
      rule: { id: rule, version: 1 },
      title: rule,
      message: `${rule} is high`,
      consequence: '',
      response: '',
      priority,
      severity: 400,
      latching,
      window: { fromMs: atMs, toMs: atMs },
    },
  };
}

function returns(rule = 'hot', atMs = T0 + 1): ReturnToNormal {
  return {
    type: 'return',
    id: `${rule}!${atMs}`,
    machine,
    atMs,
    partKey: partKey(rule),
    cause: 'condition',
    replayed: false,
  };
}

function act(type: OperatorAction, { atMs = T0 + 2, untilMs }: { atMs?: number; untilMs?: number } = {}) {
  const transition = { id: `${type}@${atMs}`, type, alarmId, atMs, by: 'asha', comment: 'seen' };
  return (untilMs === undefined ? transition : { ...transition, untilMs }) as OperatorTransition;
}

function after(...transitions: AlarmTransition[]): Alarm {
  const alarm = foldJournal(transitions.map((transition) => ({ alarmId, transition })));
  if (!alarm) throw new Error('no alarm');
  return alarm;
}

const timed = () => act('shelve', { untilMs: T0 + HOUR });
const latching = () => activate('hot', { latching: true });

describe('alarm', () => {
  it.each<[string, AlarmTransition[], AlarmState]>([
    ['a condition calls', [activate()], 'unacknowledged'],
    ['is acknowledged', [activate(), act('acknowledge')], 'acknowledged'],
    ['returns before anybody saw it', [activate(), returns()], 'rtn-unacknowledged'],
    ['returns after it was acknowledged', [activate(), act('acknowledge'), returns()], 'normal'],
    ['is acknowledged after it returned', [activate(), returns(), act('acknowledge')], 'normal'],
    [
      'comes again before it was acknowledged',
      [activate(), returns(), activate('hot', { atMs: T0 + 5 })],
      'unacknowledged',
    ],
    ['is joined by another when acknowledged', [activate(), act('acknowledge'), activate('loud')], 'unacknowledged'],
    ['keeps calling while another part is active', [activate(), activate('loud'), returns()], 'unacknowledged'],
    ['calls again by request', [activate(), act('acknowledge'), act('re-alarm')], 'unacknowledged'],
    ['latches when it returns acknowledged', [latching(), act('acknowledge'), returns()], 'latched'],
    ['latches when it is acknowledged returned', [latching(), returns(), act('acknowledge')], 'latched'],
    ['is reset', [latching(), act('acknowledge'), returns(), act('reset')], 'normal'],
    [
      'comes again latched',
      [latching(), act('acknowledge'), returns(), activate('hot', { atMs: T0 + 5 })],
      'unacknowledged',
    ],
    ['is shelved for a time', [activate(), timed()], 'shelved'],
    ['is shelved for another time', [activate(), timed(), act('shelve', { untilMs: T0 + 5 })], 'shelved'],
    [
      'stays shelved whatever its condition does',
      [activate(), timed(), returns(), activate('hot', { atMs: T0 + 5 })],
      'shelved',
    ],
    [
      'shows what it remembered when unshelved',
      [activate(), timed(), returns(), act('unshelve')],
      'rtn-unacknowledged',
    ],
    ['is acknowledged while shelved', [activate(), timed(), act('acknowledge'), act('unshelve')], 'acknowledged'],
    ['stays one-shot shelved while it holds', [activate(), act('shelve'), activate('loud')], 'shelved'],
    ['ends one-shot shelving when it returns', [activate(), act('shelve'), returns()], 'rtn-unacknowledged'],
    ['is suppressed by design', [activate(), act('suppress')], 'suppressed-by-design'],
    ['is no longer suppressed', [activate(), act('suppress'), act('unsuppress')], 'unacknowledged'],
    ['is out of service', [activate(), act('remove-from-service'), returns()], 'out-of-service'],
    ['is back in service', [activate(), act('remove-from-service'), act('return-to-service')], 'unacknowledged'],
    ['is shelved though normal', [activate(), returns(), act('acknowledge'), timed()], 'shelved'],
  ])('%s', (_what, transitions, state) => {
    expect(after(...transitions).state).toBe(state);
  });

  it.each<[string, AlarmTransition[], AlarmTransition]>([
    ['acknowledging twice', [activate(), act('acknowledge')], act('acknowledge', { atMs: T0 + 9 })],
    ['acknowledging a normal alarm', [activate(), act('acknowledge'), returns()], act('acknowledge', { atMs: T0 + 9 })],
    ['acknowledging what is out of service', [activate(), act('remove-from-service')], act('acknowledge')],
    ['resetting what is not latched', [activate()], act('reset')],
    ['calling again what is not acknowledged', [activate()], act('re-alarm')],
    ['unshelving what is not shelved', [activate(), act('suppress')], act('unshelve')],
    ['shelving what is suppressed', [activate(), act('suppress')], timed()],
    ['suppressing what is shelved', [activate(), timed()], act('suppress')],
    ['shelving into the past', [activate()], act('shelve', { untilMs: T0 })],
    ['shelving beyond the bound', [activate()], act('shelve', { untilMs: T0 + 3 + MAX_SHELVE_MS })],
    ['shelving one-shot what does not hold', [activate(), returns()], act('shelve')],
    ['the return of what is not active', [activate()], returns('loud')],
    ['a condition that is active already', [activate()], activate('hot', { atMs: T0 + 5 })],
  ])('refuses %s', (_what, transitions, illegal) => {
    expect(applyTransition(after(...transitions), illegal)).toMatchObject({ ok: false });
  });

  it('keeps who acknowledged and why, until it calls again', () => {
    const acknowledged = after(activate(), act('acknowledge'));
    expect(acknowledged.acknowledgement).toEqual({ atMs: T0 + 2, by: 'asha', comment: 'seen' });
    expect(after(activate(), act('acknowledge'), activate('loud')).acknowledgement).toBeUndefined();
  });

  it('speaks with its most urgent part', () => {
    const alarm = after(
      activate(),
      activate('broken', { priority: 'critical' }),
      activate('loud', { priority: 'high' }),
    );
    expect(alarm).toMatchObject({ title: 'broken', priority: 'critical' });
  });

  it('counts how often a part came, and when', () => {
    const alarm = after(activate(), returns(), activate('hot', { atMs: T0 + 5 }));
    expect(alarm.parts).toMatchObject([{ active: true, occurrences: 2, firstAtMs: T0, lastAtMs: T0 + 5 }]);
    expect(alarm.parts[0]).not.toHaveProperty('returnedAtMs');
  });

  it('takes a bounded number of parts', () => {
    const many = Array.from({ length: MAX_ALARM_PARTS - 1 }, (_unused, i) => activate(`rule-${i}`));
    expect(applyTransition(after(activate(), ...many), activate('one-more'))).toMatchObject({ ok: false });
  });

  it('refuses to fold a journal that could not have been written', () => {
    expect(() => after(activate(), act('reset'))).toThrow(RangeError);
  });
});

const rules = ['hot', 'loud', 'silent'];
const anyTransition: fc.Arbitrary<AlarmTransition> = fc.oneof(
  fc
    .record({ rule: fc.constantFrom(...rules), atMs: fc.integer({ min: T0, max: T0 + HOUR }), latching: fc.boolean() })
    .map(({ rule, ...options }) => activate(rule, options)),
  fc
    .record({ rule: fc.constantFrom(...rules), atMs: fc.integer({ min: T0, max: T0 + HOUR }) })
    .map(({ rule, atMs }) => returns(rule, atMs)),
  fc
    .record({
      type: fc.constantFrom(...OPERATOR_ACTIONS),
      atMs: fc.integer({ min: T0, max: T0 + HOUR }),
      shelvedForMs: fc.option(fc.integer({ min: -10, max: 2 * HOUR }), { nil: undefined }),
    })
    .map(({ type, atMs, shelvedForMs }) =>
      act(type, { atMs, ...(type === 'shelve' && shelvedForMs !== undefined ? { untilMs: atMs + shelvedForMs } : {}) }),
    ),
);

/** What must hold of every alarm that transitions can lead to. */
function expectLegal(alarm: Alarm): void {
  expect(ALARM_STATES).toContain(alarm.state);
  expect(alarm.state).toBe(alarm.silence?.kind ?? alarm.processState);
  expect(alarm.active).toBe(alarm.parts.some((part) => part.active));
  expect(['unacknowledged', 'acknowledged'].includes(alarm.processState)).toBe(alarm.active);
  if (alarm.processState === 'latched') expect(alarm.latching).toBe(true);
  if (alarm.processState === 'acknowledged') expect(alarm.acknowledgement).toBeDefined();
  if (alarm.silence?.kind === 'shelved' && !('untilMs' in alarm.silence)) expect(alarm.active).toBe(true);
  expect(alarm.parts.length).toBeLessThanOrEqual(MAX_ALARM_PARTS);
  expect(new Set(alarm.parts.map((part) => part.key)).size).toBe(alarm.parts.length);
}

describe('alarm, driven by any sequence of transitions', () => {
  it('never reaches an illegal state, counts what it accepted, and is the fold of it', () => {
    fc.assert(
      fc.property(fc.array(anyTransition, { maxLength: 60 }), (transitions) => {
        let alarm: Alarm | undefined;
        const accepted: AlarmTransition[] = [];
        for (const transition of transitions) {
          const outcome = applyTransition(alarm, transition);
          if (!outcome.ok) continue;
          alarm = outcome.alarm;
          accepted.push(transition);
          expectLegal(alarm);
        }
        expect(alarm?.version ?? 0).toBe(accepted.length);
        const journal = JSON.parse(JSON.stringify(accepted)) as AlarmTransition[];
        expect(foldJournal(journal.map((transition) => ({ alarmId, transition })))).toEqual(alarm);
      }),
    );
  });
});
