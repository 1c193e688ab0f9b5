import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { sampleActivation } from '../contracts/sample-alarm.ts';
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
  type ProcessState,
  type ReturnToNormal,
  type Silence,
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
  const id = rule === 'hot' && atMs === T0 ? alarmId : `${rule}@${atMs}`;
  return sampleActivation({ id, rule, machine, atMs, part: { priority, latching } });
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

type Ways<State extends string> = Readonly<
  Record<AlarmTransition['type'], Readonly<Partial<Record<State, readonly State[]>>>>
>;

const KEEPS: Readonly<Record<ProcessState, readonly ProcessState[]>> = {
  normal: ['normal'],
  unacknowledged: ['unacknowledged'],
  acknowledged: ['acknowledged'],
  'rtn-unacknowledged': ['rtn-unacknowledged'],
  latched: ['latched'],
};

/**
 * Where ISA-18.2 / IEC 62682 lets each transition lead; from a state that is not named it is not allowed. A return keeps the state while
 * another part is active, a latching alarm rests latched, and silences leave what is remembered.
 */
const PROCESS_WAYS: Ways<ProcessState> = {
  activate: {
    normal: ['unacknowledged'],
    unacknowledged: ['unacknowledged'],
    acknowledged: ['unacknowledged'],
    'rtn-unacknowledged': ['unacknowledged'],
    latched: ['unacknowledged'],
  },
  return: {
    unacknowledged: ['unacknowledged', 'rtn-unacknowledged'],
    acknowledged: ['acknowledged', 'normal', 'latched'],
  },
  acknowledge: { unacknowledged: ['acknowledged'], 'rtn-unacknowledged': ['normal', 'latched'] },
  reset: { latched: ['normal'] },
  're-alarm': { acknowledged: ['unacknowledged'] },
  shelve: KEEPS,
  unshelve: KEEPS,
  suppress: KEEPS,
  unsuppress: KEEPS,
  'remove-from-service': KEEPS,
  'return-to-service': KEEPS,
};

type Heard = Silence['kind'] | 'heard';

const HEARD_ONLY = { heard: ['heard'] } as const;

/** The same of silences: one at a time, left by its own action, or, shelved one-shot, with the condition. */
const SILENCE_WAYS: Ways<Heard> = {
  activate: {
    heard: ['heard'],
    shelved: ['shelved'],
    'suppressed-by-design': ['suppressed-by-design'],
    'out-of-service': ['out-of-service'],
  },
  return: {
    heard: ['heard'],
    shelved: ['shelved', 'heard'],
    'suppressed-by-design': ['suppressed-by-design'],
    'out-of-service': ['out-of-service'],
  },
  acknowledge: { heard: ['heard'], shelved: ['shelved'] },
  reset: HEARD_ONLY,
  're-alarm': HEARD_ONLY,
  shelve: { heard: ['shelved'], shelved: ['shelved'] },
  unshelve: { shelved: ['heard'] },
  suppress: { heard: ['suppressed-by-design'] },
  unsuppress: { 'suppressed-by-design': ['heard'] },
  'remove-from-service': { heard: ['out-of-service'] },
  'return-to-service': { 'out-of-service': ['heard'] },
};

/** What must hold of every transition that is accepted: it is in the tables, and which of several ways it goes has its reason. */
function expectLegalStep(before: Alarm | undefined, { type }: AlarmTransition, after: Alarm): void {
  const from = before?.processState ?? 'normal';
  const to = after.processState;
  expect(PROCESS_WAYS[type][from] ?? []).toContain(to);
  if (type === 'return') expect(to === from).toBe(after.active);
  if (!after.active && (type === 'return' || type === 'acknowledge') && to !== 'rtn-unacknowledged') {
    expect(to).toBe(after.latching ? 'latched' : 'normal');
  }
  const silenceBefore = before?.silence?.kind ?? 'heard';
  const silenceAfter = after.silence?.kind ?? 'heard';
  expect(SILENCE_WAYS[type][silenceBefore] ?? []).toContain(silenceAfter);
  if (type === 'return' && before?.silence?.kind === 'shelved') {
    const ends = !('untilMs' in before.silence) && !after.active;
    expect(silenceAfter).toBe(ends ? 'heard' : 'shelved');
  }
}

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
  it('never takes an illegal step nor reaches an illegal state, counts what it accepted, and is the fold of it', () => {
    fc.assert(
      fc.property(fc.array(anyTransition, { maxLength: 60 }), (transitions) => {
        let alarm: Alarm | undefined;
        const accepted: AlarmTransition[] = [];
        for (const transition of transitions) {
          const outcome = applyTransition(alarm, transition);
          if (!outcome.ok) continue;
          expectLegalStep(alarm, transition, outcome.alarm);
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
