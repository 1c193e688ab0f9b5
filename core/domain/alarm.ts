import type { AlarmId, MachineKey } from './ids.ts';
import { priorityRank, type AlarmPriority, type RuleKind } from './rule.ts';

/**
 * The states of ISA-18.2 / IEC 62682. `rtn` is "return to normal". The last three are entered by people or by design; under them the
 * alarm keeps following its condition silently, and leaving them shows the state that it then has.
 */
export const ALARM_STATES = [
  'normal',
  'unacknowledged',
  'acknowledged',
  'rtn-unacknowledged',
  'latched',
  'shelved',
  'suppressed-by-design',
  'out-of-service',
] as const;
export type AlarmState = (typeof ALARM_STATES)[number];
/** The states that follow from the condition and from what was acknowledged. */
export type ProcessState = Extract<
  AlarmState,
  'normal' | 'unacknowledged' | 'acknowledged' | 'rtn-unacknowledged' | 'latched'
>;

/** Why an alarm is silent although its condition may hold. */
export type Silence =
  | { readonly kind: 'shelved'; readonly untilMs: number }
  /** One-shot: until the condition next returns. */
  | { readonly kind: 'shelved' }
  | { readonly kind: 'suppressed-by-design' }
  | { readonly kind: 'out-of-service' };

/** The anomalies of one machine in one window, as one thing that a person handles. A fold of its journal, see {@link applyTransition}. */
export interface Alarm {
  readonly id: AlarmId;
  readonly machine: MachineKey;
  /** Journal entries so far. */
  readonly version: number;
  readonly state: AlarmState;
  /** The remembered state: equal to `state` unless a silence hides it. */
  readonly processState: ProcessState;
  readonly silence?: Silence;
  /** True while a part's condition holds. */
  readonly active: boolean;
  /** Title, consequence and response of its most urgent part. */
  readonly title: string;
  readonly consequence: string;
  readonly response: string;
  readonly priority: AlarmPriority;
  /** OPC UA Part 9, 1 to 1000. */
  readonly severity: number;
  readonly latching: boolean;
  /** Event time of the first part. */
  readonly raisedAtMs: number;
  /** Time of the newest transition. */
  readonly changedAtMs: number;
  /** When the last active part returned; absent while active. */
  readonly returnedAtMs?: number;
  /** The newest acknowledgement; absent when the alarm came again since. */
  readonly acknowledgement?: { readonly atMs: number; readonly by: string; readonly comment: string };
  /** Raised by an import that was judged in its own time: a replayed recording, not the machine as it is now. */
  readonly replayed: boolean;
  /** In order of their first occurrence, at most {@link MAX_ALARM_PARTS}. */
  readonly parts: readonly AlarmPart[];
}

/** One reason for an alarm: what judged, the values, and the time they are of. */
export interface AlarmPart extends PartDetails {
  readonly active: boolean;
  /** How often its condition came. */
  readonly occurrences: number;
  readonly firstAtMs: number;
  readonly lastAtMs: number;
  readonly returnedAtMs?: number;
}

/** What an anomaly says about itself; frozen into the journal, so that it can be read after the rule has changed. */
export interface PartDetails {
  /** The same for the same condition of the machine, also under a later version of its rule: see {@link partKey}. */
  readonly key: string;
  readonly kind: RuleKind;
  readonly rule: { readonly id: string; readonly version: number };
  readonly model?: { readonly id: string; readonly version: string };
  readonly title: string;
  /** The reason in one sentence with its numbers. */
  readonly message: string;
  readonly consequence: string;
  readonly response: string;
  readonly priority: AlarmPriority;
  readonly severity: number;
  readonly latching: boolean;
  /** The metric, feature or score that was judged. */
  readonly metric?: string;
  readonly sensor?: string;
  readonly value?: number;
  readonly limit?: number;
  readonly unit?: string;
  /** What it was compared with, where the limit is relative. */
  readonly baseline?: number;
  /** The data that the baseline was taken from. */
  readonly baselineWindow?: { readonly fromMs: number; readonly toMs: number };
  /** The boundary between ISO zones B and C, where the limit depends on it. */
  readonly boundary?: number;
  readonly zone?: string;
  /** The standard, and what it assumes of the machine, where the limit is a standard's. */
  readonly basis?: string;
  /** The time that the judgement is about: when the condition began, to when it was decided. */
  readonly window: { readonly fromMs: number; readonly toMs: number };
  /** The waveform it was seen in: its spectrum is at `/v1/waveforms/{id}/spectrum`. */
  readonly waveformId?: string;
  /** The derived document that was judged. */
  readonly documentId?: string;
}

/** The key of a part: which rule, on what. */
export function partKey(rule: string, metric = '', sensor = ''): string {
  return `${rule}|${metric}|${sensor}`;
}

export const MAX_ALARM_PARTS = 32;
export const MAX_SHELVE_MS = 7 * 86_400_000;
export const MAX_COMMENT_LENGTH = 1000;

interface Identified {
  /**
   * The same id is journalled once: deterministic for conditions, and unique over all machines; for people the request's idempotency
   * key, unique within the alarm. 1 to 128 characters.
   */
  readonly id: string;
  /** Event time for conditions, wall clock for people; milliseconds since 1970. */
  readonly atMs: number;
}

interface Decided extends Identified {
  /** W3C trace context of the event that decided it, where that was sampled. */
  readonly traceparent?: string;
}

/** A condition came. */
export interface Activation extends Decided {
  readonly type: 'activate';
  readonly machine: MachineKey;
  readonly part: PartDetails;
  readonly replayed: boolean;
}

/** A condition went; `cause` says why. */
export interface ReturnToNormal extends Decided {
  readonly type: 'return';
  readonly machine: MachineKey;
  readonly partKey: string;
  readonly cause: 'condition' | 'operating-state' | 'new-baseline' | 'rule-changed' | 'replay-ended';
  readonly replayed: boolean;
}

export type ConditionTransition = Activation | ReturnToNormal;

interface ByPerson extends Identified {
  readonly alarmId: AlarmId;
  /** A person's subject, or `system` for a shelving that ran out. */
  readonly by: string;
  /** Why; may be empty. At most {@link MAX_COMMENT_LENGTH} characters. */
  readonly comment: string;
}

export const OPERATOR_ACTIONS = [
  'acknowledge',
  'shelve',
  'unshelve',
  'suppress',
  'unsuppress',
  'remove-from-service',
  'return-to-service',
  'reset',
  're-alarm',
] as const;
export type OperatorAction = (typeof OPERATOR_ACTIONS)[number];

/** What a person (or a timer) does to an alarm. Shelving without `untilMs` is one-shot. */
export type OperatorTransition =
  | (ByPerson & { readonly type: 'shelve'; readonly untilMs?: number })
  | (ByPerson & { readonly type: Exclude<OperatorAction, 'shelve'> });

export type AlarmTransition = ConditionTransition | OperatorTransition;

/** One line of the append-only journal. */
export interface JournalEntry {
  readonly alarmId: AlarmId;
  /** From 1, dense within the alarm; equal to the alarm's version after it. */
  readonly sequence: number;
  readonly transition: AlarmTransition;
  readonly stateBefore: AlarmState;
  readonly stateAfter: AlarmState;
  /** Wall clock of the journal. */
  readonly recordedAtMs: number;
}

export type TransitionOutcome =
  | { readonly ok: true; readonly alarm: Alarm }
  /** Nothing changes. `reason` is for people. */
  | { readonly ok: false; readonly reason: string };

/**
 * The alarm after one transition, or why the transition is not allowed now. Pure; the whole behaviour of alarms is here.
 *
 * - `activate`: to unacknowledged, from any process state: an acknowledged alarm calls again when something new joins it.
 * - `return`: once no part is active, unacknowledged to rtn-unacknowledged, acknowledged to normal (latched where it latches).
 * - `acknowledge`: unacknowledged to acknowledged; rtn-unacknowledged to normal (or latched). Also under shelving.
 * - `reset`: latched to normal. `re-alarm`: acknowledged to unacknowledged.
 * - Silences: one at a time; shelving again changes its end. One-shot shelving ends with the condition.
 */
export function applyTransition(alarm: Alarm | undefined, transition: AlarmTransition): TransitionOutcome {
  if (transition.type === 'activate') return activate(alarm, transition);
  if (!alarm) return refused('there is no such alarm');
  if (transition.type === 'return') return returnPart(alarm, transition);
  if (transition.type === 'acknowledge') return acknowledge(alarm, transition);
  if (transition.type === 'reset' || transition.type === 're-alarm') return resetOrReAlarm(alarm, transition);
  return changeSilence(alarm, transition);
}

/** The alarm that its journal tells of. @throws RangeError for a journal that could not have been written. */
export function foldJournal(entries: readonly Pick<JournalEntry, 'alarmId' | 'transition'>[]): Alarm | undefined {
  let alarm: Alarm | undefined;
  for (const { transition } of entries) {
    const outcome = applyTransition(alarm, transition);
    if (!outcome.ok)
      throw new RangeError(`illegal ${transition.type} ${transition.id} in the journal: ${outcome.reason}`);
    alarm = outcome.alarm;
  }
  return alarm;
}

/** True while somebody has, or may have, something to do with it. A silenced alarm stays open, so that its conditions keep joining it. */
export function isOpen(alarm: Pick<Alarm, 'state'>): boolean {
  return alarm.state !== 'normal';
}

function activate(alarm: Alarm | undefined, transition: Activation): TransitionOutcome {
  const { id, machine, part, replayed, atMs } = transition;
  if (alarm) return reactivate(alarm, part, atMs);
  const fresh: Alarm = {
    id: id as AlarmId,
    machine,
    version: 0,
    state: 'normal',
    processState: 'normal',
    active: true,
    ...factsOf([part]),
    raisedAtMs: atMs,
    changedAtMs: atMs,
    replayed,
    parts: withPart([], part, atMs),
  };
  return accepted(fresh, atMs, 'unacknowledged');
}

function reactivate(alarm: Alarm, part: PartDetails, atMs: number): TransitionOutcome {
  const before = alarm.parts.find((each) => each.key === part.key);
  if (before?.active) return refused('the condition is already active');
  if (!before && alarm.parts.length >= MAX_ALARM_PARTS) return refused(`an alarm has at most ${MAX_ALARM_PARTS} parts`);
  const { acknowledgement: _over, returnedAtMs: _again, ...rest } = alarm;
  const parts = withPart(alarm.parts, part, atMs);
  return accepted({ ...rest, parts, active: true, ...factsOf(parts) }, atMs, 'unacknowledged');
}

function withPart(parts: readonly AlarmPart[], part: PartDetails, atMs: number): readonly AlarmPart[] {
  const before = parts.find((each) => each.key === part.key);
  const after: AlarmPart = {
    ...part,
    active: true,
    occurrences: (before?.occurrences ?? 0) + 1,
    firstAtMs: before?.firstAtMs ?? atMs,
    lastAtMs: atMs,
  };
  return before ? parts.map((each) => (each === before ? after : each)) : [...parts, after];
}

function returnPart(alarm: Alarm, { partKey, atMs }: ReturnToNormal): TransitionOutcome {
  const part = alarm.parts.find((each) => each.key === partKey);
  if (!part?.active) return refused('the condition is not active');
  const parts = alarm.parts.map((each) => (each === part ? { ...part, active: false, returnedAtMs: atMs } : each));
  if (parts.some((each) => each.active)) return accepted({ ...alarm, parts }, atMs, alarm.processState);
  const { silence, ...rest } = alarm;
  const oneShot = silence?.kind === 'shelved' && !('untilMs' in silence);
  return accepted(
    { ...rest, ...(silence && !oneShot ? { silence } : {}), parts, active: false, returnedAtMs: atMs },
    atMs,
    alarm.processState === 'unacknowledged' ? 'rtn-unacknowledged' : restState(alarm),
  );
}

function acknowledge(alarm: Alarm, { atMs, by, comment }: ByPerson): TransitionOutcome {
  if (alarm.silence && alarm.silence.kind !== 'shelved') return refused(`it is ${alarm.state}`);
  const next = { ...alarm, acknowledgement: { atMs, by, comment } };
  if (alarm.processState === 'unacknowledged') return accepted(next, atMs, 'acknowledged');
  if (alarm.processState === 'rtn-unacknowledged') return accepted(next, atMs, restState(alarm));
  return refused(`it is ${alarm.processState}: there is nothing to acknowledge`);
}

function resetOrReAlarm(alarm: Alarm, { type, atMs }: OperatorTransition): TransitionOutcome {
  if (alarm.silence) return refused(`it is ${alarm.state}`);
  if (type === 'reset') {
    return alarm.processState === 'latched'
      ? accepted(alarm, atMs, 'normal')
      : refused(`it is ${alarm.processState}: only a latched alarm is reset`);
  }
  if (alarm.processState !== 'acknowledged')
    return refused(`it is ${alarm.processState}: only an acknowledged alarm calls again`);
  const { acknowledgement: _over, ...rest } = alarm;
  return accepted(rest, atMs, 'unacknowledged');
}

/** The silence that an action ends, or that it begins. */
const ENDS: Readonly<Partial<Record<OperatorAction, Silence['kind']>>> = {
  unshelve: 'shelved',
  unsuppress: 'suppressed-by-design',
  'return-to-service': 'out-of-service',
};

function changeSilence(alarm: Alarm, transition: OperatorTransition): TransitionOutcome {
  const { atMs, type } = transition;
  const { silence, ...rest } = alarm;
  const ends = ENDS[type];
  if (ends) {
    return silence?.kind === ends
      ? accepted(rest, atMs, alarm.processState)
      : refused(`it is ${alarm.state}, not ${ends}`);
  }
  if (silence && !(silence.kind === 'shelved' && type === 'shelve')) return refused(`it is already ${alarm.state}`);
  if (type === 'suppress')
    return accepted({ ...rest, silence: { kind: 'suppressed-by-design' } }, atMs, alarm.processState);
  if (type === 'remove-from-service') {
    return accepted({ ...rest, silence: { kind: 'out-of-service' } }, atMs, alarm.processState);
  }
  if (transition.type !== 'shelve') return refused(`${type} is no transition`);
  const { untilMs } = transition;
  if (untilMs === undefined) {
    if (!alarm.active) return refused('its condition does not hold: shelve it for a time instead');
    return accepted({ ...rest, silence: { kind: 'shelved' } }, atMs, alarm.processState);
  }
  if (!(untilMs > atMs && untilMs <= atMs + MAX_SHELVE_MS)) return refused('an alarm is shelved for up to seven days');
  return accepted({ ...rest, silence: { kind: 'shelved', untilMs } }, atMs, alarm.processState);
}

function accepted(alarm: Alarm, atMs: number, processState: ProcessState): TransitionOutcome {
  return { ok: true, alarm: changed(alarm, atMs, processState) };
}

function changed(alarm: Alarm, atMs: number, processState: ProcessState): Alarm {
  return {
    ...alarm,
    version: alarm.version + 1,
    changedAtMs: Math.max(alarm.changedAtMs, atMs),
    processState,
    state: alarm.silence?.kind ?? processState,
  };
}

function refused(reason: string): TransitionOutcome {
  return { ok: false, reason };
}

function restState(alarm: Pick<Alarm, 'latching'>): ProcessState {
  return alarm.latching ? 'latched' : 'normal';
}

/** An alarm speaks with the voice of its most urgent part, and latches where any of them does. */
function factsOf(parts: readonly PartDetails[]) {
  const [first, ...others] = parts as readonly [PartDetails, ...PartDetails[]];
  const { title, consequence, response, priority, severity } = others.reduce(
    (most, part) => (priorityRank(part.priority) > priorityRank(most.priority) ? part : most),
    first,
  );
  return { title, consequence, response, priority, severity, latching: parts.some((part) => part.latching) };
}
