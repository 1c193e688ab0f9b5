import { applyTransition, partKey, type Activation, type Alarm, type PartDetails } from '../domain/alarm.ts';
import type { MachineKey } from '../domain/ids.ts';
import type { AlarmNotice } from '../ports/alarm-journal.ts';

/** What a test wants of a condition that came; the rest is of no account to it. */
export interface ActivationSample extends Partial<Omit<Activation, 'type' | 'part'>> {
  /** The id of the rule. */
  readonly rule?: string;
  readonly part?: Partial<PartDetails>;
}

/** A condition that came, to press-7 where nothing else is said. */
export function sampleActivation({ rule = 'hot', part = {}, ...given }: ActivationSample = {}): Activation {
  const { machine = 'north/akron/press-7' as MachineKey, atMs = Date.UTC(2026, 10, 21, 1) } = given;
  return {
    ...{ type: 'activate', id: `${machine}/${rule}@${atMs}`, machine, atMs, replayed: false, ...given },
    part: {
      key: partKey(rule, part.metric, part.sensor),
      kind: 'threshold',
      rule: { id: rule, version: 3 },
      title: rule,
      message: `${rule} is high`,
      consequence: 'the seal fails',
      response: 'reduce the load',
      priority: 'high',
      severity: 625,
      latching: false,
      window: { fromMs: atMs, toMs: atMs },
      ...part,
    },
  };
}

/** What is told of the alarm that these conditions raise. */
export function sampleNotice(...activations: readonly [Activation, ...(readonly Activation[])]): AlarmNotice {
  const alarm = activations.reduce<Alarm | undefined>((before, activation) => {
    const outcome = applyTransition(before, activation);
    if (!outcome.ok) throw new Error(outcome.reason);
    return outcome.alarm;
  }, undefined)!;
  const transition = activations.at(-1)!;
  const states = { stateBefore: 'normal', stateAfter: alarm.state } as const;
  return {
    ...{ change: 'raised', alarm },
    entry: { alarmId: alarm.id, sequence: 1, transition, ...states, recordedAtMs: transition.atMs },
  };
}
