import type { Alarm, JournalEntry } from '../domain/alarm.ts';
import type { MachineKey } from '../domain/ids.ts';
import { ALARM_PRIORITIES, type AlarmPriority } from '../domain/rule.ts';

/** The figures by which ISA-18.2 / IEC 62682 judge an alarm system, of one operating position over a period. */
export interface AlarmFigures {
  /** Times that an alarm called for attention. */
  readonly calls: number;
  /** About 150 is manageable for one operator, 300 the most. */
  readonly callsPerDay: number;
  /** About 6, at most 12. */
  readonly callsPerHour: number;
  /** About 1, at most 2. */
  readonly callsPerTenMinutes: number;
  readonly mostInTenMinutes: number;
  /** Part of the period's ten-minute intervals with more than 10 calls; under 0.01 is good. */
  readonly floodShare: number;
  /** Conditions that came at least three times within a minute, most often first. */
  readonly chattering: readonly { readonly machine: MachineKey; readonly partKey: string; readonly times: number }[];
  /** Alarms active for more than a day at the end of the period; under 5 is good. */
  readonly stale: number;
  /** Part of the calls, by priority: about 0.8 low and medium, 0.15 high, 0.05 critical. */
  readonly shares: Readonly<Record<AlarmPriority, number>>;
}

const FLOOD_CALLS = 10;
const CHATTERING_TIMES = 3;
const TEN_MINUTES_MS = 600_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

/** What the figures need to know of a journal entry: a fraction of its size, so that a month of them can be kept. */
export interface AlarmFact {
  readonly recordedAtMs: number;
  readonly machine: MachineKey;
  /** It made an alarm call for attention. */
  readonly calls: boolean;
  /** Of the condition that came; absent where the entry is of another kind. */
  readonly condition?: { readonly partKey: string; readonly priority: AlarmPriority; readonly atMs: number };
}

/** Undefined for an entry that no figure counts: silenced and replayed alarms call nobody. */
export function alarmFact(entry: JournalEntry & { readonly machine: MachineKey }): AlarmFact | undefined {
  const { transition, stateBefore, stateAfter, recordedAtMs, machine } = entry;
  const calls = stateAfter === 'unacknowledged' && stateBefore !== 'unacknowledged';
  if (transition.type !== 'activate') return calls ? { recordedAtMs, machine, calls } : undefined;
  if (transition.replayed) return undefined;
  const { key: partKey, priority } = transition.part;
  return { recordedAtMs, machine, calls, condition: { partKey, priority, atMs: transition.atMs } };
}

/** Computes the figures of a period from the facts recorded in it and the alarms open at its end. */
export function alarmFigures(
  facts: readonly AlarmFact[],
  openAlarms: readonly Alarm[],
  period: { readonly fromMs: number; readonly toMs: number },
): AlarmFigures {
  const lengthMs = period.toMs - period.fromMs;
  const intervals = new Array<number>(Math.max(1, Math.ceil(lengthMs / TEN_MINUTES_MS))).fill(0);
  const byPriority: Record<AlarmPriority, number> = { low: 0, medium: 0, high: 0, critical: 0 };
  let calls = 0;
  for (const { calls: isCall, condition, recordedAtMs } of facts) {
    if (!isCall) continue;
    calls++;
    const interval = Math.floor((recordedAtMs - period.fromMs) / TEN_MINUTES_MS);
    if (interval >= 0 && interval < intervals.length) intervals[interval]!++;
    if (condition) byPriority[condition.priority]++;
  }
  const judged = Object.values(byPriority).reduce((sum, count) => sum + count, 0);
  const share = (priority: AlarmPriority) => (judged === 0 ? 0 : byPriority[priority] / judged);
  const isStale = (alarm: Alarm) => alarm.active && !alarm.replayed && period.toMs - alarm.raisedAtMs > DAY_MS;
  return {
    calls,
    callsPerDay: (calls * DAY_MS) / lengthMs,
    callsPerHour: (calls * HOUR_MS) / lengthMs,
    callsPerTenMinutes: (calls * TEN_MINUTES_MS) / lengthMs,
    mostInTenMinutes: Math.max(...intervals),
    floodShare: intervals.filter((count) => count > FLOOD_CALLS).length / intervals.length,
    chattering: chattering(facts),
    stale: openAlarms.filter(isStale).length,
    shares: Object.fromEntries(
      ALARM_PRIORITIES.map((priority) => [priority, share(priority)]),
    ) as AlarmFigures['shares'],
  };
}

function chattering(facts: readonly AlarmFact[]): AlarmFigures['chattering'] {
  const conditions = new Map<string, { machine: MachineKey; partKey: string; atMs: number[] }>();
  for (const { machine, condition } of facts) {
    if (!condition) continue;
    const { partKey, atMs } = condition;
    const key = `${machine}|${partKey}`;
    const known = conditions.get(key);
    if (known) known.atMs.push(atMs);
    else conditions.set(key, { machine, partKey, atMs: [atMs] });
  }
  return [...conditions.values()]
    .map(({ machine, partKey, atMs }) => ({ machine, partKey, times: mostWithinAMinute(atMs) }))
    .filter(({ times }) => times >= CHATTERING_TIMES)
    .sort((a, b) => b.times - a.times);
}

function mostWithinAMinute(times: number[]): number {
  times.sort((a, b) => a - b);
  let most = 0;
  for (let first = 0, last = 0; last < times.length; last++) {
    while (times[last]! - times[first]! > MINUTE_MS) first++;
    most = Math.max(most, last - first + 1);
  }
  return most;
}
