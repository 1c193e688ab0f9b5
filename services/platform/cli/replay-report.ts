import type { AlarmPartView, AlarmView, JournalEntryView } from '#services/api-gateway/schemas/alarms.ts';
import type { ReplayedRecording } from '#services/edge-simulator/replay/replay-tally.ts';
import { table } from './output.ts';

/** An alarm with its journal, as the platform tells it. */
export interface ReplayedAlarm extends AlarmView {
  readonly journal: readonly JournalEntryView[];
}

/** What the platform made of one machine's recording: an alarm before its end, and alarms while it was still well. */
export interface ReplayVerdict {
  readonly machine: string;
  readonly recording: string;
  /** Length of the recording. */
  readonly lifeS: number;
  /** Times at which an alarm was raised, in seconds after the recording's begin, in order. */
  readonly raisedAfterS: readonly number[];
  /** Of those, how many in the first half. */
  readonly raisedInFirstHalf: number;
  /** From the first alarm of the second half (one that stood at half-time counts from there) to the end; absent without one. */
  readonly leadS?: number;
  /** What that alarm said. */
  readonly reasons: readonly string[];
}

/**
 * Judges each machine of each recording by its alarms, in the time of the data. An alarm that says only that data is missing does not
 * count as a detection, nor one that was raised after the recording's end.
 */
export function replayVerdicts(
  recordings: readonly ReplayedRecording[],
  alarms: readonly ReplayedAlarm[],
): ReplayVerdict[] {
  const alarmsOf = Map.groupBy(alarms, (alarm) => alarm.machine);
  return recordings.flatMap((recording) =>
    recording.machines.map((machine) => verdict(machine, recording, alarmsOf.get(machine) ?? [])),
  );
}

function verdict(
  machine: string,
  { name, beginMs, endMs }: ReplayedRecording,
  alarms: readonly ReplayedAlarm[],
): ReplayVerdict {
  const halfMs = beginMs + (endMs - beginMs) / 2;
  const spells = alarms
    .filter((alarm) => alarm.parts.some((part) => part.kind !== 'missing-data'))
    .flatMap((alarm) => spellsOf(alarm).map((spell) => ({ ...spell, alarm })))
    .filter(({ raisedMs }) => raisedMs >= beginMs && raisedMs <= endMs)
    .toSorted((a, b) => a.raisedMs - b.raisedMs);
  const detection = spells.find(({ raisedMs, returnedMs }) => raisedMs >= halfMs || returnedMs > halfMs);
  return {
    machine,
    recording: name,
    lifeS: seconds(endMs - beginMs),
    raisedAfterS: spells.map(({ raisedMs }) => seconds(raisedMs - beginMs)),
    raisedInFirstHalf: spells.filter(({ raisedMs }) => raisedMs < halfMs).length,
    ...(detection && { leadS: seconds(endMs - Math.max(detection.raisedMs, halfMs)) }),
    reasons: detection ? firstReasons(detection.alarm, detection.raisedMs) : [],
  };
}

/** From each time that the alarm was raised while its condition did not hold, to when it returned (Infinity while it holds). */
function spellsOf({ journal }: ReplayedAlarm): { readonly raisedMs: number; readonly returnedMs: number }[] {
  const spells: { raisedMs: number; returnedMs: number }[] = [];
  for (const { action, ofMs, stateAfter } of journal) {
    const open = spells.at(-1)?.returnedMs === Infinity ? spells.at(-1) : undefined;
    if (action === 'raised' && !open) spells.push({ raisedMs: ofMs, returnedMs: Infinity });
    if (action === 'returned' && open && RETURNED.has(stateAfter)) open.returnedMs = ofMs;
  }
  return spells;
}

/** An alarm of several parts has returned when the last of them has. */
const RETURNED: ReadonlySet<string> = new Set(['normal', 'rtn-unacknowledged', 'latched']);

/** What it said first; parts that came later are further reasons, and many. */
function firstReasons({ parts }: AlarmView, raisedMs: number): string[] {
  const judged = parts.filter((part) => part.kind !== 'missing-data');
  const first = judged.filter((part) => part.fromMs <= raisedMs && raisedMs <= part.toMs);
  return (first.length > 0 ? first : judged.slice(0, 1)).map(reason);
}

function reason({ message, source: { id, version } }: AlarmPartView): string {
  return `${message} (${id} ${version})`;
}

export function replayReportTable(verdicts: readonly ReplayVerdict[]): string {
  const count = (value: number) => Math.round(value).toLocaleString('en');
  return table(
    ['machine', 'recorded s', 'alarm after s', 'lead s', 'alarms in first half', 'what it said'],
    verdicts.map(({ machine, lifeS, leadS, raisedInFirstHalf, reasons }) => [
      machine,
      count(lifeS),
      leadS === undefined ? 'none' : count(lifeS - leadS),
      leadS === undefined ? '' : count(leadS),
      String(raisedInFirstHalf),
      reasons.join('; '),
    ]),
  );
}

function seconds(ms: number): number {
  return Math.round(ms) / 1000;
}
