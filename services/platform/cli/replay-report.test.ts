import { describe, expect, it } from '@jest/globals';
import type { AlarmPartView } from '#services/api-gateway/schemas/alarms.ts';
import { replayVerdicts, type ReplayedAlarm } from './replay-report.ts';

const RECORDING = { name: 'life.csv', machines: ['press-7'], beginMs: 1_000_000, endMs: 1_100_000, imported: false };

type Entry = readonly ['raised' | 'returned' | 'acknowledged', number, ReplayedAlarm['state']];

/** An alarm whose journal has these entries, at seconds after the recording's begin. */
function alarm(kind: AlarmPartView['kind'], ...entries: readonly Entry[]): ReplayedAlarm {
  const atMs = (seconds: number) => RECORDING.beginMs + seconds * 1000;
  const source = { kind: 'rule', id: 'r-1', version: 2 } as const;
  const raisedMs = atMs(entries[0]?.[1] ?? 0);
  return {
    machine: 'press-7',
    raisedMs,
    parts: [{ kind, source, message: `it is ${kind}`, fromMs: raisedMs, toMs: raisedMs }],
    journal: entries.map(([action, at, stateAfter]) => ({ action, ofMs: atMs(at), stateAfter })),
  } as unknown as ReplayedAlarm;
}

describe('the verdict on a recording', () => {
  it.each<{ what: string; alarms: readonly ReplayedAlarm[]; says: object }>([
    { what: 'no alarm', alarms: [], says: { raisedAfterS: [], raisedInFirstHalf: 0, reasons: [] } },
    {
      what: 'one alarm near the end',
      alarms: [alarm('model-score', ['raised', 80, 'unacknowledged'], ['acknowledged', 90, 'acknowledged'])],
      says: { raisedAfterS: [80], raisedInFirstHalf: 0, leadS: 20, reasons: ['it is model-score (r-1 2)'] },
    },
    {
      what: 'one that came and went in the first half, and again in the second',
      alarms: [
        alarm(
          'feature',
          ['raised', 10, 'unacknowledged'],
          ['returned', 20, 'rtn-unacknowledged'],
          ['raised', 70, 'unacknowledged'],
        ),
      ],
      says: { raisedAfterS: [10, 70], raisedInFirstHalf: 1, leadS: 30 },
    },
    {
      what: 'one that stands from the first half on: false there, and a detection from half-time',
      alarms: [alarm('feature', ['raised', 10, 'unacknowledged'])],
      says: { raisedAfterS: [10], raisedInFirstHalf: 1, leadS: 50 },
    },
    {
      what: 'a second part of an alarm that stands: not a second alarm',
      alarms: [alarm('feature', ['raised', 60, 'unacknowledged'], ['raised', 65, 'unacknowledged'])],
      says: { raisedAfterS: [60], leadS: 40 },
    },
    {
      what: 'missing data alone: no detection',
      alarms: [alarm('missing-data', ['raised', 90, 'unacknowledged'])],
      says: { raisedAfterS: [], raisedInFirstHalf: 0 },
    },
    {
      what: 'an alarm after the end',
      alarms: [alarm('feature', ['raised', 101, 'unacknowledged'])],
      says: { raisedAfterS: [] },
    },
  ])('is right for $what', ({ alarms, says }) => {
    const [verdict, ...others] = replayVerdicts([RECORDING], alarms);
    expect(others).toEqual([]);
    expect(verdict).toMatchObject({ machine: 'press-7', recording: 'life.csv', lifeS: 100, ...says });
    if (!('leadS' in says)) expect(verdict).not.toHaveProperty('leadS');
  });
});
