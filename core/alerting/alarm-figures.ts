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

/**
 * Computes the figures of a period from the entries recorded in it, in their order, and the alarms open at its end. Silenced and replayed
 * alarms call nobody and do not count.
 */
export function alarmFigures(
  entries: readonly (JournalEntry & { readonly machine: MachineKey })[],
  openAlarms: readonly Alarm[],
  period: { readonly fromMs: number; readonly toMs: number },
): AlarmFigures {
  const lengthMs = period.toMs - period.fromMs;
  const intervals = new Array<number>(Math.max(1, Math.ceil(lengthMs / TEN_MINUTES_MS))).fill(0);
  const byPriority: Record<AlarmPriority, number> = { low: 0, medium: 0, high: 0, critical: 0 };
  let calls = 0;
  for (const { transition, stateBefore, stateAfter, recordedAtMs } of entries) {
    if (stateAfter !== 'unacknowledged' || stateBefore === 'unacknowledged') continue;
    if (transition.type === 'activate' && transition.replayed) continue;
    calls++;
    const interval = Math.floor((recordedAtMs - period.fromMs) / TEN_MINUTES_MS);
    if (interval >= 0 && interval < intervals.length) intervals[interval]!++;
    if (transition.type === 'activate') byPriority[transition.part.priority]++;
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
    chattering: chattering(entries),
    stale: openAlarms.filter(isStale).length,
    shares: Object.fromEntries(
      ALARM_PRIORITIES.map((priority) => [priority, share(priority)]),
    ) as AlarmFigures['shares'],
  };
}

function chattering(entries: Parameters<typeof alarmFigures>[0]): AlarmFigures['chattering'] {
  const conditions = new Map<string, { machine: MachineKey; partKey: string; atMs: number[] }>();
  for (const { transition } of entries) {
    if (transition.type !== 'activate' || transition.replayed) continue;
    const { machine, part, atMs } = transition;
    const key = `${machine}|${part.key}`;
    const condition = conditions.get(key) ?? { machine, partKey: part.key, atMs: [] };
    condition.atMs.push(atMs);
    conditions.set(key, condition);
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
