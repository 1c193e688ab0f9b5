import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { stampedEvent } from '#core/contracts/sample-event.ts';
import type { EventOutcome } from '#core/ports/time-series-store.ts';
import { DuckDbTimeSeriesStore } from './duckdb-time-series-store.ts';
import { MACHINE_KEYS } from './testing/telemetry.ts';

const START_MS = Date.UTC(2026, 0, 15);
const MINUTE_MS = 60_000;
const machine = MACHINE_KEYS[0]!;

interface Point {
  readonly ts: number;
  readonly value: number;
}

const point = fc.record({
  // Few distinct times, in few minutes of few hours, so that late and repeated ones are common.
  ts: fc
    .tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 5 }))
    .map(([hour, minute, second]) => START_MS + hour * 3_600_000 + minute * MINUTE_MS + second * 1000),
  value: fc.integer({ min: -3, max: 3 }),
});
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.array(point, { minLength: 1, maxLength: 8 }).map((points) => ({ do: 'settle' as const, points })),
  },
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 5 }).map((hours) => ({ do: 'maintain' as const, hours })) },
  { weight: 1, arbitrary: fc.constant({ do: 'reopen' as const }) },
  {
    weight: 1,
    arbitrary: fc.array(point, { minLength: 1, maxLength: 3 }).map((points) => ({ do: 'fail' as const, points })),
  },
);
const limits = fc.record({
  sealRows: fc.constantFrom(1, 10, 1000),
  joinRollupRows: fc.constantFrom(1, 10, 1000),
  rollUpAfterMs: fc.constantFrom(0, 1e12),
  rollUpRows: fc.constantFrom(1, 5),
  repairMinutes: fc.constantFrom(1, 3, 1000),
  repairAfterMs: fc.constantFrom(0, 3_600_000),
  checkpointBytes: fc.constantFrom(1, 1e9),
});

describe('a series, whatever was settled late, twice or not at all, and whenever maintenance ran', () => {
  it('equals a recomputation from the readings in the order of their acceptance', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), limits, async (steps, ofRun) => {
        const directory = await mkdtemp(join(tmpdir(), 'tribo-series-'));
        let failing = false;
        const beforeCommit = () => {
          if (failing) throw new Error('forced to fail');
        };
        const open = () => DuckDbTimeSeriesStore.open({ directory }, { limits: ofRun, beforeCommit });
        let store = await open();
        const accepted: Point[] = [];
        let seq = 0;
        try {
          for (const each of steps) {
            if (each.do === 'settle') {
              await store.settle(batchOf(each.points, seq));
              seq += each.points.length;
              accepted.push(...each.points);
            } else if (each.do === 'fail') {
              failing = true;
              await expect(store.settle(batchOf(each.points, seq))).rejects.toThrow('forced to fail');
              failing = false;
            } else if (each.do === 'maintain') {
              await store.maintain(START_MS + each.hours * 3_600_000);
            } else {
              await store.close();
              store = await open();
            }
            await expectSeries(store, accepted);
          }
          // Far enough in the future that every minute is repaired, in as many runs as it takes.
          while ((await store.maintain(START_MS + 1e10)).repairedMinutes > 0);
          await expectSeries(store, accepted);
          if (accepted.length > 0 && ofRun.rollUpAfterMs === 0) await expectConflicts(store, accepted);
        } finally {
          await store.close();
          await rm(directory, { recursive: true, force: true });
        }
      }),
      // Shrinking would take longer than the test may: the report names the seed and the case.
      { numRuns: 20, endOnFailure: true },
    );
  }, 120_000);
});

function batchOf(points: readonly Point[], afterSeq: number) {
  const outcomes = points.map(({ ts, value }, i): EventOutcome => {
    const seq = afterSeq + i + 1;
    const event = stampedEvent(seq, { key: machine, acceptedAtMs: START_MS });
    return { type: 'readings', event, ts, readings: [{ metric: 'm', value }] };
  });
  return { stream: 'metrics', group: 'store', fence: 1, outcomes } as const;
}

async function expectSeries(store: DuckDbTimeSeriesStore, accepted: readonly Point[]): Promise<void> {
  const newest = new Map(accepted.map(({ ts, value }) => [ts, value]));
  for (const stepMs of [0, 2_000, MINUTE_MS, 2 * MINUTE_MS, 3_600_000, 7_200_000]) {
    const buckets = new Map<number, number[]>();
    for (const [ts, value] of newest) {
      const bucket = stepMs === 0 ? ts : Math.floor(ts / stepMs) * stepMs;
      buckets.set(bucket, [...(buckets.get(bucket) ?? []), value]);
    }
    const expected = [...buckets]
      .sort(([a], [b]) => a - b)
      .map(([ts, values]) =>
        stepMs === 0 ? [ts, values[0]] : [ts, sum(values), Math.min(...values), Math.max(...values), values.length],
      );
    const result = await store.series({
      machine,
      metric: 'm',
      fromMs: START_MS,
      toMs: START_MS + 86_400_000,
      stepMs,
      aggregates: ['mean', 'min', 'max', 'count'],
      limit: 10_000,
    });
    const { columns } = result;
    const actual = Array.from(result.ts, (ts, i) =>
      stepMs === 0
        ? [ts, columns['value']![i]]
        : [
            ts,
            Math.round(columns['mean']![i]! * columns['count']![i]!),
            columns['min']![i],
            columns['max']![i],
            columns['count']![i],
          ],
    );
    expect(actual).toEqual(expected.map((row) => row.map((each) => each! + 0)));
  }
}

async function expectConflicts(store: DuckDbTimeSeriesStore, accepted: readonly Point[]): Promise<void> {
  const values = new Map<number, Set<number>>();
  for (const { ts, value } of accepted) values.set(ts, (values.get(ts) ?? new Set()).add(value));
  const expected = [...values.values()].reduce((count, each) => count + each.size - 1, 0);
  expect((await store.settled())[0]?.conflicts).toBe(expected);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, each) => total + each, 0);
}
