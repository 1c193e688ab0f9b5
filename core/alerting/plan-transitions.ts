import {
  applyTransition,
  isOpen,
  MAX_ALARM_PARTS,
  MAX_COMMENT_LENGTH,
  type Alarm,
  type AlarmTransition,
  type ConditionTransition,
  type JournalEntry,
} from '../domain/alarm.ts';
import type { AlarmId, MachineKey } from '../domain/ids.ts';
import { priorityRank } from '../domain/rule.ts';
import { PortError } from '../errors.ts';
import {
  DEFAULT_CORRELATION_WINDOW_MS,
  STREAM_DESTINATION,
  type AlarmChange,
  type AlarmNotice,
  type OutboxMessage,
  type RecordedTransition,
  type RecordOptions,
} from '../ports/alarm-journal.ts';

/** What a journal knows that bears on some transitions. It must not change until their plan is committed. */
export interface JournalKnowledge {
  /** Of the transitions' {@link journalKey}s, those recorded before, with their alarm. */
  readonly recorded: ReadonlyMap<string, AlarmId>;
  /** The alarms in `recorded`, those that people's transitions name, and all open ones of the machines in question. */
  readonly alarms: Iterable<Alarm>;
}

/** What to append, to replace and to send: all of it or nothing. */
export interface TransitionPlan {
  readonly results: readonly RecordedTransition[];
  readonly entries: readonly PlannedEntry[];
  /** Alarms as the entries leave them. */
  readonly alarms: readonly Alarm[];
  readonly messages: readonly OutboxMessage<AlarmNotice>[];
}

export interface PlannedEntry extends JournalEntry {
  /** Unique over the journal. */
  readonly key: string;
}

/** Under which key a transition is journalled once. A person's idempotency key is their own affair within one alarm, and nobody else's. */
export function journalKey(transition: AlarmTransition): string {
  return 'alarmId' in transition ? `${transition.alarmId}:${transition.id}` : transition.id;
}

/**
 * Decides what a journal does with transitions: the same for every adapter, which only commits the outcome.
 *
 * A condition goes to the open alarm of its machine that has it as a part, however old (so that a shelved alarm keeps its conditions
 * silent); else it joins the newest unsilenced open alarm raised within the correlation window around it; else it raises a new one.
 * Replayed and live conditions never share an alarm.
 *
 * @throws PortError invalid_argument for an id or comment out of bounds.
 */
export function planTransitions(
  transitions: readonly AlarmTransition[],
  knowledge: JournalKnowledge,
  options: RecordOptions & { readonly nowMs: number },
): TransitionPlan {
  const planner = new Planner(knowledge, options);
  const results = transitions.map((transition) => planner.add(transition));
  return { results, entries: planner.entries, alarms: [...planner.changed.values()], messages: planner.messages };
}

class Planner {
  readonly entries: PlannedEntry[] = [];
  readonly messages: OutboxMessage<AlarmNotice>[] = [];
  readonly changed = new Map<AlarmId, Alarm>();
  readonly #alarms = new Map<AlarmId, Alarm>();
  readonly #byMachine = new Map<MachineKey, Map<AlarmId, Alarm>>();
  readonly #recorded: Map<string, AlarmId>;
  readonly #options: RecordOptions & { readonly nowMs: number };

  constructor(knowledge: JournalKnowledge, options: RecordOptions & { readonly nowMs: number }) {
    for (const alarm of knowledge.alarms) this.#keep(alarm);
    this.#recorded = new Map(knowledge.recorded);
    this.#options = options;
  }

  add(transition: AlarmTransition): RecordedTransition {
    checkBounds(transition);
    const key = journalKey(transition);
    const recordedFor = this.#recorded.get(key);
    if (recordedFor !== undefined) return { outcome: 'duplicate', alarm: this.#known(recordedFor) };
    const before = this.#target(transition);
    const { expectedVersion } = this.#options;
    if ('alarmId' in transition) {
      if (!before) return { outcome: 'not_found' };
      if (expectedVersion !== undefined && expectedVersion !== before.version) {
        return { outcome: 'conflict', alarm: before };
      }
    }
    const outcome = applyTransition(before, transition);
    if (!outcome.ok) return { outcome: 'illegal', reason: outcome.reason, ...(before ? { alarm: before } : {}) };
    return this.#append(key, transition, before, outcome.alarm);
  }

  #append(key: string, transition: AlarmTransition, before: Alarm | undefined, alarm: Alarm): RecordedTransition {
    const entry: JournalEntry = {
      alarmId: alarm.id,
      sequence: alarm.version,
      transition,
      stateBefore: before?.state ?? 'normal',
      stateAfter: alarm.state,
      recordedAtMs: this.#options.nowMs,
    };
    this.entries.push({ ...entry, key });
    this.#recorded.set(key, alarm.id);
    this.#keep(alarm);
    this.changed.set(alarm.id, alarm);
    this.#tell(key, before, { change: changeOf(transition, before, alarm), entry, alarm });
    return { outcome: 'recorded', alarm, entry };
  }

  #tell(key: string, before: Alarm | undefined, notice: AlarmNotice): void {
    const { nowMs, notify = [], notifyOfChanges = [] } = this.#options;
    const message = (id: string, destination: string): OutboxMessage<AlarmNotice> => ({
      id,
      destination,
      machine: notice.alarm.machine,
      attempts: 0,
      dueAtMs: nowMs,
      createdAtMs: nowMs,
      notice,
    });
    this.messages.push(message(key, STREAM_DESTINATION));
    if (notice.alarm.replayed) return;
    const told = calls(before, notice.alarm) ? new Set([...notify, ...notifyOfChanges]) : notifyOfChanges;
    for (const name of told) this.messages.push(message(`${key}:${name}`, name));
  }

  #target(transition: AlarmTransition): Alarm | undefined {
    if ('alarmId' in transition) return this.#alarms.get(transition.alarmId);
    const candidates = [...(this.#byMachine.get(transition.machine)?.values() ?? [])].filter(
      (alarm) => alarm.replayed === transition.replayed && isOpen(alarm),
    );
    const key = transition.type === 'activate' ? transition.part.key : transition.partKey;
    const owners = candidates.filter((alarm) => alarm.parts.some((part) => part.key === key));
    const owner = owners.find((alarm) => alarm.parts.some((part) => part.key === key && part.active)) ?? newest(owners);
    if (owner || transition.type === 'return') return owner;
    return newest(candidates.filter((alarm) => this.#mayJoin(alarm, transition)));
  }

  #mayJoin(alarm: Alarm, { atMs }: ConditionTransition): boolean {
    const { correlationWindowMs = DEFAULT_CORRELATION_WINDOW_MS } = this.#options;
    return (
      !alarm.silence && alarm.parts.length < MAX_ALARM_PARTS && Math.abs(atMs - alarm.raisedAtMs) <= correlationWindowMs
    );
  }

  #keep(alarm: Alarm): void {
    this.#alarms.set(alarm.id, alarm);
    const ofMachine = this.#byMachine.get(alarm.machine) ?? new Map<AlarmId, Alarm>();
    ofMachine.set(alarm.id, alarm);
    this.#byMachine.set(alarm.machine, ofMachine);
  }

  #known(id: AlarmId): Alarm {
    const alarm = this.#alarms.get(id);
    if (!alarm) throw new PortError('data_loss', `the journal has entries of alarm ${id}, but not the alarm`);
    return alarm;
  }
}

/** Whether people have to be told: it asks for an acknowledgement anew, or is more urgent than what they were told of. */
function calls(before: Alarm | undefined, after: Alarm): boolean {
  if (after.state !== 'unacknowledged') return false;
  return before?.state !== 'unacknowledged' || priorityRank(after.priority) > priorityRank(before.priority);
}

/** What an accepted transition means to the outside. */
function changeOf(transition: AlarmTransition, before: Alarm | undefined, after: Alarm): AlarmChange {
  switch (transition.type) {
    case 'activate':
      if (!before) return 'raised';
      return before.processState === 'unacknowledged' ? 'part-added' : 're-raised';
    case 'return':
      if (after.active) return 'part-returned';
      return after.state === 'normal' ? 'cleared' : 'returned';
    case 'acknowledge':
      return 'acknowledged';
    case 'reset':
      return 'cleared';
    case 're-alarm':
      return 're-raised';
    case 'shelve':
    case 'suppress':
    case 'remove-from-service':
      return 'silenced';
    default:
      return 'unsilenced';
  }
}

function newest(alarms: readonly Alarm[]): Alarm | undefined {
  return alarms.reduce<Alarm | undefined>(
    (best, alarm) => (best && best.raisedAtMs >= alarm.raisedAtMs ? best : alarm),
    undefined,
  );
}

function checkBounds(transition: AlarmTransition): void {
  const { id, atMs } = transition;
  if (id.length === 0 || id.length > 128) {
    throw new PortError('invalid_argument', `a transition's id has 1 to 128 characters, got ${id.length}`);
  }
  if (!Number.isFinite(atMs)) throw new PortError('invalid_argument', `the time of transition ${id} is no number`);
  if ('comment' in transition && transition.comment.length > MAX_COMMENT_LENGTH) {
    throw new PortError('invalid_argument', `a comment has at most ${MAX_COMMENT_LENGTH} characters`);
  }
}
