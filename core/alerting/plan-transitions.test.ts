import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { sampleActivation } from '../contracts/sample-alarm.ts';
import {
  foldJournal,
  partKey,
  type Activation,
  type Alarm,
  type AlarmTransition,
  type ReturnToNormal,
} from '../domain/alarm.ts';
import type { AlarmId, MachineKey } from '../domain/ids.ts';
import type { AlarmPriority } from '../domain/rule.ts';
import { journalKey, planTransitions, type JournalKnowledge, type PlannedEntry } from './plan-transitions.ts';

const press = 'north/akron/press-7' as MachineKey;
const pump = 'north/akron/pump-1' as MachineKey;
const T0 = 1_000_000;
const WINDOW = 60_000;

function activate(
  rule: string,
  atMs: number,
  machine = press,
  replayed = false,
  priority: AlarmPriority = 'high',
): Activation {
  return sampleActivation({ rule, machine, atMs, replayed, part: { priority } });
}

function returns(rule: string, atMs: number, machine = press): ReturnToNormal {
  const id = `${machine}:${rule}!${atMs}`;
  return { type: 'return', id, machine, atMs, partKey: partKey(rule), cause: 'condition', replayed: false };
}

/** A journal in memory that keeps only what a plan says, and finds knowledge as an adapter does. */
class JournalModel {
  readonly entries: PlannedEntry[] = [];
  readonly alarms = new Map<AlarmId, Alarm>();
  readonly messages: string[] = [];

  record(transitions: readonly AlarmTransition[], notify: readonly string[] = []) {
    const plan = planTransitions(transitions, this.#knowledge(), {
      nowMs: T0,
      correlationWindowMs: WINDOW,
      notify,
    });
    this.entries.push(...plan.entries);
    this.messages.push(...plan.messages.map((message) => message.id));
    for (const alarm of plan.alarms) this.alarms.set(alarm.id, alarm);
    return plan.results.map((result) => result.outcome);
  }

  open(): Alarm[] {
    return [...this.alarms.values()].filter((alarm) => alarm.state !== 'normal');
  }

  #knowledge(): JournalKnowledge {
    return {
      recorded: new Map(this.entries.map((entry) => [entry.key, entry.alarmId])),
      alarms: [...this.alarms.values()],
    };
  }
}

function partsOf(journal: JournalModel): string[][] {
  return [...journal.alarms.values()].map((alarm) => alarm.parts.map((part) => part.rule.id));
}

describe('planning of transitions', () => {
  it.each<[string, AlarmTransition[], string[][]]>([
    ['one window', [activate('a', T0), activate('b', T0 + WINDOW)], [['a', 'b']]],
    ['one window, the later one told first', [activate('b', T0 + WINDOW), activate('a', T0)], [['b', 'a']]],
    ['two windows', [activate('a', T0), activate('b', T0 + WINDOW + 1)], [['a'], ['b']]],
    ['two machines', [activate('a', T0), activate('b', T0, pump)], [['a'], ['b']]],
    ['live and replayed', [activate('a', T0), activate('b', T0, press, true)], [['a'], ['b']]],
    [
      'one condition that returned and comes long after',
      [activate('a', T0), returns('a', T0 + 1), activate('a', T0 + 9 * WINDOW)],
      [['a']],
    ],
  ])('correlates anomalies of %s', (_what, transitions, parts) => {
    const journal = new JournalModel();
    journal.record(transitions);
    expect(partsOf(journal)).toEqual(parts);
  });

  it('lets conditions join a shelved alarm only where it has them already', () => {
    const journal = new JournalModel();
    journal.record([activate('a', T0)]);
    const alarmId = [...journal.alarms.keys()][0]!;
    journal.record([
      { type: 'shelve', id: 's', alarmId, atMs: T0, by: 'asha', comment: '', untilMs: T0 + 1e6 },
      returns('a', T0 + 1),
      activate('a', T0 + 2),
      activate('b', T0 + 3),
    ]);
    expect(partsOf(journal)).toEqual([['a'], ['b']]);
    expect(journal.alarms.get(alarmId)?.state).toBe('shelved');
  });

  it.each([
    ['together', [[activate('a', T0), activate('a', T0)]]],
    ['one after the other', [[activate('a', T0)], [activate('a', T0)]]],
  ])('journals and tells of a transition once, also where it is given twice %s', (_how, batches) => {
    const journal = new JournalModel();
    expect(batches.flatMap((batch) => journal.record(batch, ['mail']))).toEqual(['recorded', 'duplicate']);
    expect(journal.entries).toHaveLength(1);
    expect(journal.messages).toHaveLength(2);
  });

  it('keeps one person’s idempotency key apart from the same key on another alarm', () => {
    const journal = new JournalModel();
    journal.record([activate('a', T0), activate('a', T0, pump)]);
    const acknowledgements = [...journal.alarms.keys()].map((alarmId): AlarmTransition => ({
      type: 'acknowledge',
      id: '1',
      alarmId,
      atMs: T0,
      by: 'asha',
      comment: '',
    }));
    expect(journal.record(acknowledgements)).toEqual(['recorded', 'recorded']);
    expect(new Set(acknowledgements.map(journalKey)).size).toBe(2);
  });

  it.each<[string, AlarmPriority, boolean]>([
    ['more urgent', 'critical', true],
    ['as urgent', 'high', false],
    ['less urgent', 'medium', false],
  ])('notifies of what joins an unacknowledged alarm and is %s: %s, %s', (_what, priority, notifies) => {
    const joins = activate('b', T0 + 1, press, false, priority);
    const plan = planTransitions(
      [activate('a', T0), joins],
      { recorded: new Map(), alarms: [] },
      {
        nowMs: T0,
        correlationWindowMs: WINDOW,
        notify: ['mail'],
      },
    );
    const mails = plan.messages.filter((message) => message.destination === 'mail');
    expect(mails.map((message) => message.notice.change)).toEqual(notifies ? ['raised', 'part-added'] : ['raised']);
    if (notifies) {
      expect(mails[1]).toMatchObject({
        id: `${joins.id}:mail`,
        notice: { alarm: { title: 'b', priority: 'critical' } },
      });
    }
  });

  it('notifies nobody of what joins a replayed alarm, however urgent', () => {
    const journal = new JournalModel();
    const replayed = [activate('a', T0, press, true), activate('b', T0 + 1, press, true, 'critical')];
    journal.record(replayed, ['mail']);
    expect(journal.messages).toEqual(replayed.map((each) => each.id));
  });

  it('plans nothing for a return without an alarm', () => {
    const journal = new JournalModel();
    expect(journal.record([returns('a', T0)])).toEqual(['illegal']);
    expect([journal.entries, journal.messages]).toEqual([[], []]);
  });
});

const anyTransitions = fc.array(
  fc.record({
    rule: fc.constantFrom('a', 'b', 'c'),
    machine: fc.constantFrom(press, pump),
    atMs: fc.integer({ min: T0, max: T0 + 5 * WINDOW }),
    up: fc.boolean(),
  }),
  { maxLength: 40 },
);

describe('planning of any transitions', () => {
  it('records each id once, however calls are repeated and cut into batches, and every alarm is the fold of its entries', () => {
    fc.assert(
      fc.property(anyTransitions, fc.array(fc.integer({ min: 1, max: 5 })), (specs, cuts) => {
        const transitions = specs.map(({ rule, machine, atMs, up }) =>
          up ? activate(rule, atMs, machine) : returns(rule, atMs, machine),
        );
        const once = new JournalModel();
        once.record(transitions, ['mail']);
        const repeated = new JournalModel();
        for (let at = 0, i = 0; at < transitions.length; i++) {
          const batch = transitions.slice(at, (at += cuts[i % cuts.length] ?? 3));
          repeated.record(batch, ['mail']);
          const before = repeated.entries.length;
          repeated.record(
            batch.filter((each) => repeated.entries.some((entry) => entry.key === journalKey(each))),
            ['mail'],
          );
          expect(repeated.entries).toHaveLength(before);
        }
        expect(repeated.entries).toEqual(once.entries);
        expect(repeated.messages).toEqual(once.messages);
        expect(new Set(once.messages).size).toBe(once.messages.length);
        for (const alarm of once.alarms.values()) {
          expect(foldJournal(once.entries.filter((entry) => entry.alarmId === alarm.id))).toEqual(alarm);
        }
      }),
    );
  });
});
