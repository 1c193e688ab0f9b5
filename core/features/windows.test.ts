import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  RollingWindows,
  type MachineWindowsSnapshot,
  type RollingWindowOptions,
  type WindowResult,
} from './windows.ts';

const TUMBLING: RollingWindowOptions = {
  sizeMs: 1000,
  hopMs: 1000,
  watermarkDelayMs: 0,
  allowedLatenessMs: 2000,
  maxSeries: 100,
};
const HOPPING: RollingWindowOptions = { ...TUMBLING, sizeMs: 3000, watermarkDelayMs: 500 };

interface Reading {
  readonly ts: number;
  readonly value: number;
}

function collect(options: RollingWindowOptions, readings: readonly Reading[]) {
  const results: WindowResult[] = [];
  const windows = new RollingWindows(options, (result) => results.push(result));
  const outcomes = readings.map(({ ts, value }) => windows.update('press-7', 'velocity_rms', ts, value));
  return { windows, results, outcomes };
}

const at = (ts: number, value: number): Reading => ({ ts, value });

describe('rolling windows', () => {
  it('closes a window once the watermark reaches its end, with all of its features', () => {
    const { results } = collect(TUMBLING, [at(0, 1), at(500, 3), at(900, 2), at(1000, 9)]);
    expect(results).toHaveLength(1);
    const [first] = results;
    expect(first).toMatchObject({
      id: 'press-7/velocity_rms/0/1000',
      machine: 'press-7',
      metric: 'velocity_rms',
      startMs: 0,
      endMs: 1000,
      revision: 0,
      count: 3,
      mean: 2,
      deviation: 1,
      min: 1,
      max: 3,
    });
    // Least squares through (0, 1), (0.5, 3), (0.9, 2).
    expect(first?.slopePerSecond).toBeCloseTo(1.229508, 6);
    const weights = [1000, 500, 100].map((age) => Math.exp(-age / (1000 / 3)));
    const weighted = weights[0]! * 1 + weights[1]! * 3 + weights[2]! * 2;
    expect(first?.ewma).toBeCloseTo(weighted / weights.reduce((a, b) => a + b), 12);
  });

  it('gives no deviation and no slope for a single reading, and no slope for readings of one moment', () => {
    const { results } = collect(TUMBLING, [at(100, 5), at(1100, 5), at(1100, 7), at(2000, 0)]);
    expect(results[0]).toMatchObject({ count: 1, mean: 5, deviation: null, slopePerSecond: null, ewma: 5 });
    expect(results[1]).toMatchObject({ count: 2, mean: 6, slopePerSecond: null });
  });

  it('puts a reading on a boundary into the window that begins there', () => {
    const { results } = collect(TUMBLING, [at(1000, 1), at(1999, 2), at(2000, 3), at(3000, 4)]);
    expect(results.map(({ startMs, count }) => [startMs, count])).toEqual([
      [1000, 2],
      [2000, 1],
    ]);
  });

  it('takes disorder up to the watermark delay without a revision', () => {
    const { results, outcomes } = collect({ ...TUMBLING, watermarkDelayMs: 500 }, [
      at(100, 1),
      at(1400, 2),
      at(950, 3),
      at(1500, 4),
    ]);
    expect(outcomes).toEqual(['counted', 'counted', 'counted', 'counted']);
    expect(results).toEqual([expect.objectContaining({ startMs: 0, count: 2, mean: 2, revision: 0 })]);
  });

  it('corrects a closed window by late data, with the same id and the next revision', () => {
    const { results, outcomes } = collect(TUMBLING, [at(100, 1), at(1500, 5), at(200, 3), at(300, 8)]);
    expect(outcomes).toEqual(['counted', 'counted', 'late', 'late']);
    expect(results.map(({ id, revision, count, max }) => [id, revision, count, max])).toEqual([
      ['press-7/velocity_rms/0/1000', 0, 1, 1],
      ['press-7/velocity_rms/0/1000', 1, 2, 3],
      ['press-7/velocity_rms/0/1000', 2, 3, 8],
    ]);
  });

  it('gives revision 0 for a window whose first reading comes late', () => {
    const { results } = collect(TUMBLING, [at(2500, 1), at(1500, 5)]);
    expect(results).toEqual([expect.objectContaining({ startMs: 1000, revision: 0, count: 1, mean: 5 })]);
  });

  it('counts what comes after the allowed lateness and changes nothing', () => {
    const { windows, results, outcomes } = collect(TUMBLING, [at(100, 1), at(3000, 2), at(200, 3)]);
    expect(outcomes[2]).toBe('too_late');
    expect(results).toHaveLength(1);
    expect(windows.counts('press-7')).toEqual({ counted: 2, late: 0, too_late: 1, invalid: 0 });
  });

  it('corrects each of the overlapping windows of a late reading that are not past correction', () => {
    const { results, outcomes } = collect(HOPPING, [at(1000, 1), at(6400, 2), at(1500, 3)]);
    expect(outcomes).toEqual(['counted', 'counted', 'late']);
    // 1500 lies in the windows from -1000, 0 and 1000, which are final at 4000, 5000 and 6000; the watermark is at 5900.
    expect(results.map(({ startMs, revision }) => [startMs, revision])).toEqual([
      [-1000, 0],
      [0, 0],
      [1000, 0],
      [1000, 1],
    ]);
  });

  it('gives no result for windows without readings, however long the gap', () => {
    const { results } = collect(HOPPING, [at(0, 1), at(1e12, 2), at(1e12 + 10_000, 3)]);
    expect(results.map(({ startMs }) => startMs)).toEqual([-2000, -1000, 0, 1e12 - 2000, 1e12 - 1000, 1e12]);
  });

  it('closes the open windows of a machine that stopped sending once, when asked to, and goes on after them', () => {
    const { windows, results } = collect({ ...TUMBLING, watermarkDelayMs: 500 }, [at(100, 1), at(1100, 2)]);
    windows.close('press-7');
    windows.close('press-7');
    windows.close('unheard-of');
    expect(results.map(({ startMs, revision, count }) => [startMs, revision, count])).toEqual([
      [0, 0, 1],
      [1000, 0, 1],
    ]);
    expect(windows.update('press-7', 'velocity_rms', 1200, 4)).toBe('late');
    expect(windows.update('press-7', 'velocity_rms', 2100, 5)).toBe('counted');
    expect(windows.update('press-7', 'velocity_rms', 3500, 5)).toBe('counted');
    expect(results.slice(2).map(({ startMs, revision, count }) => [startMs, revision, count])).toEqual([
      [1000, 1, 2],
      [2000, 0, 1],
    ]);
  });

  it('takes late data after closing for as long as before: the watermark has not moved', () => {
    const { windows } = collect(TUMBLING, [at(2900, 1)]);
    windows.close('press-7');
    expect(windows.update('press-7', 'velocity_rms', 0, 1)).toBe('late');
    windows.update('press-7', 'velocity_rms', 3000, 1);
    windows.close('press-7');
    expect(windows.update('press-7', 'velocity_rms', 0, 1)).toBe('too_late');
  });

  it('keeps series apart and refuses more of them than it may hold', () => {
    const windows = new RollingWindows({ ...TUMBLING, maxSeries: 2 }, () => undefined);
    expect(windows.update('a', 'x', 0, 1)).toBe('counted');
    expect(windows.update('b', 'x', 0, 1)).toBe('counted');
    expect(windows.update('b', 'y', 0, 1)).toBe('refused');
    expect(windows.update('c', 'x', 0, 1)).toBe('refused');
    expect(windows.totals.refused).toBe(2);
    expect(windows.machines()).toEqual(['a', 'b']);
    windows.forgetMachine('a');
    expect(windows.update('c', 'x', 0, 1)).toBe('counted');
    expect(windows.seriesCount).toBe(2);
  });

  it.each([NaN, Infinity, -Infinity])('counts a value of %p as invalid and keeps it out', (value) => {
    const { windows, results } = collect(TUMBLING, [at(0, 1), at(10, value), at(1000, 1)]);
    expect(results[0]).toMatchObject({ count: 1, mean: 1 });
    expect(windows.counts('press-7')?.invalid).toBe(1);
  });

  it.each([
    ['hopMs', { hopMs: 700 }],
    ['hopMs', { hopMs: 0 }],
    ['sizeMs', { sizeMs: 500 }],
    ['watermarkDelayMs', { watermarkDelayMs: -1 }],
    ['allowedLatenessMs', { allowedLatenessMs: 0.5 }],
    ['ewmaTimeConstantMs', { ewmaTimeConstantMs: 0 }],
    ['maxSeries', { maxSeries: 0 }],
    ['maxAheadMs', { maxAheadMs: -1 }],
    ['must stay below', { allowedLatenessMs: 1e9 }],
  ])('refuses options with a bad %s', (named, wrong) => {
    expect(() => new RollingWindows({ ...TUMBLING, ...wrong }, () => undefined)).toThrow(named);
  });

  it.each([
    ['version', { version: 2 }],
    ['is of windows', { shape: [1, 1, 0, 0, 1] }],
  ])('refuses a snapshot of another %s', (named, wrong) => {
    const { windows } = collect(TUMBLING, [at(0, 1)]);
    const snapshot = { ...windows.snapshotMachine('press-7')!, ...wrong } as MachineWindowsSnapshot;
    expect(() => windows.restoreMachine(snapshot)).toThrow(named);
    expect(windows.seriesCount).toBe(1);
  });
});

describe('a clock that is ahead', () => {
  const SKEW_MS = 240_000;
  const options = { ...TUMBLING, watermarkDelayMs: 500 };

  it('makes late neither other devices’ readings nor its own once it is put right', () => {
    const { windows, results } = collect(options, []);
    const come = (nowMs: number, skewMs: number, value: number) =>
      windows.update('press-7', 'heat', nowMs + skewMs, value, { arrivedMs: nowMs, clockMs: 0 });
    expect([come(0, 0, 1), come(100, SKEW_MS, 2), come(200, 0, 3), come(1600, 0, 4)]).toEqual(Array(4).fill('counted'));
    expect(results).toEqual([expect.objectContaining({ startMs: 0, count: 2, mean: 2, revision: 0 })]);
    // Its own reading is in the window of the time that it said, and that closes when it is over.
    come(SKEW_MS + 2000, 0, 5);
    expect(results.at(-1)).toMatchObject({ startMs: SKEW_MS, count: 1, mean: 2, revision: 0 });
  });

  it('closes windows by its own time beyond what panes are kept for, and in an import', () => {
    const { windows, results } = collect({ ...options, maxAheadMs: 1000 }, []);
    windows.update('press-7', 'heat', 0, 1, { arrivedMs: 0, clockMs: 0 });
    windows.update('press-7', 'heat', 10_000, 2, { arrivedMs: 0, clockMs: 0 });
    expect(results.map(({ startMs }) => startMs)).toEqual([0]);
    expect(collect(options, [at(0, 1), at(10_000, 2)]).results.map(({ startMs }) => startMs)).toEqual([0]);
  });
});

describe('a metric that stops while its machine goes on', () => {
  it('has its own windows closed after the idle time, and says when the next one may', () => {
    const { windows, results } = collect(TUMBLING, []);
    windows.update('press-7', 'heat', 100, 1, { arrivedMs: 100, clockMs: 0 });
    windows.update('press-7', 'load', 100, 1, { arrivedMs: 100, clockMs: 3000 });
    expect(windows.closeSilent('press-7', 4999, 5000)).toBe(5000);
    expect(windows.closeSilent('press-7', 5000, 5000)).toBe(8000);
    expect(results.map(({ metric }) => metric)).toEqual(['heat']);
    expect(windows.closeSilent('press-7', 8000, 5000)).toBe(Infinity);
    expect(results.map(({ metric }) => metric)).toEqual(['heat', 'load']);
  });

  it('has those of its overlapping windows closed that do not reach beyond its last readings', () => {
    const { windows, results } = collect(HOPPING, [at(0, 1), at(2100, 2)]);
    windows.close('press-7');
    expect(results.map(({ endMs, count }) => [endMs, count])).toEqual([
      [1000, 1],
      [2000, 1],
      [3000, 2],
    ]);
    windows.update('press-7', 'velocity_rms', 9000, 1);
    expect(results.slice(3).map(({ endMs, count, revision }) => [endMs, count, revision])).toEqual([
      [4000, 1, 0],
      [5000, 1, 0],
    ]);
  });
});

describe('the unit of a series’ windows', () => {
  const declared = new Map([['declared', 'Cel']]);
  function sent(metric: string, ...readings: (readonly [ts: number, value: number, unit?: string])[]) {
    const results: WindowResult[] = [];
    const windows = new RollingWindows(
      TUMBLING,
      (result) => results.push(result),
      (_machine, name) => declared.get(name),
    );
    const outcomes = readings.map(([ts, value, unit]) => windows.update('press-7', metric, ts, value, undefined, unit));
    return { windows, outcomes, results: results.map(({ startMs, mean, unit }) => [startMs, mean, unit]) };
  }

  it('is that of its first reading, to which others are converted', () => {
    const { results } = sent('heat', [0, 20, 'Cel'], [100, 68, '[degF]'], [200, 20, 'degC'], [1000, 0]);
    expect(results).toEqual([[0, expect.closeTo(20, 9), 'Cel']]);
  });

  it('is the declared one where there is one', () => {
    expect(sent('declared', [0, 68, '[degF]'], [100, 20], [1000, 0]).results).toEqual([
      [0, expect.closeTo(20, 9), 'Cel'],
    ]);
  });

  it('leaves out what does not convert, and takes that unit when nothing else comes any more', () => {
    const { outcomes, results } = sent('x', [0, 1, 'mm/s'], [900, 7, 'g'], [3500, 7, 'g'], [3600, 8, 'g'], [4500, 0]);
    expect(outcomes).toEqual(['counted', 'other_unit', 'other_unit', 'counted', 'counted']);
    expect(results).toEqual([
      [0, 1, 'mm/s'],
      [3000, 8, 'g'],
    ]);
  });

  it('is kept over a restart', () => {
    const { windows } = sent('heat', [0, 20, 'Cel']);
    const results: WindowResult[] = [];
    const restored = new RollingWindows(TUMBLING, (result) => results.push(result));
    restored.restoreMachine(JSON.parse(JSON.stringify(windows.snapshotMachine('press-7'))) as MachineWindowsSnapshot);
    restored.update('press-7', 'heat', 1000, 68, undefined, '[degF]');
    expect(results).toEqual([expect.objectContaining({ mean: 20, unit: 'Cel' })]);
  });
});

describe('rolling windows, for any readings', () => {
  const readings = fc.array(
    fc.record({ ts: fc.integer({ min: 0, max: 20_000 }), value: fc.double({ min: -1e6, max: 1e6, noNaN: true }) }),
    { maxLength: 200 },
  );
  const shapes = fc.constantFrom(TUMBLING, HOPPING, { ...HOPPING, hopMs: 500, allowedLatenessMs: 0 });

  it('the last revision of each window equals a batch computation over all readings in it, in whatever order they came and whenever it was closed', () => {
    fc.assert(
      fc.property(shapes, readings, fc.nat(200), (shape, all, closedAt) => {
        const last = new Map<number, WindowResult>();
        const options = { ...shape, allowedLatenessMs: 30_000 };
        const windows = new RollingWindows(options, (result) => last.set(result.startMs, result));
        all.forEach(({ ts, value }, i) => {
          if (i === closedAt) windows.close('m');
          windows.update('m', 'x', ts, value);
        });
        windows.close('m');
        const newest = Math.max(-Infinity, ...all.map(({ ts }) => ts));
        const newestEndMs = Math.floor(newest / options.hopMs) * options.hopMs + options.hopMs;
        for (const startMs of last.keys()) expect(startMs + options.sizeMs).toBeLessThanOrEqual(newestEndMs);
        if (all.length > 0) expect(last.has(newestEndMs - options.sizeMs)).toBe(true);
        // Those that overlap the end are over when time goes on.
        windows.update('m', 'x', 60_000, 0);
        for (let startMs = -options.sizeMs; startMs <= 20_000; startMs += options.hopMs) {
          const inside = all.filter(({ ts }) => ts >= startMs && ts < startMs + options.sizeMs);
          const result = last.get(startMs);
          expect(result?.count ?? 0).toBe(inside.length);
          if (result) expectBatch(result, inside, options.sizeMs / 3);
        }
      }),
    );
  });

  it('whatever clocks are ahead by, each reading within the delay of its arrival is in the first revision of its windows', () => {
    const arrivals = fc.array(
      fc.record({
        gapMs: fc.nat(400),
        skewMs: fc.oneof(fc.integer({ min: -500, max: 0 }), fc.integer({ min: 1, max: 300_000 })),
      }),
      { maxLength: 150 },
    );
    fc.assert(
      fc.property(shapes, arrivals, fc.integer({ min: 1, max: 150 }), (shape, all, cut) => {
        const options = { ...shape, watermarkDelayMs: 500, allowedLatenessMs: 1000 };
        const results: WindowResult[] = [];
        let windows = new RollingWindows(options, (result) => results.push(result));
        const inside: Reading[] = [];
        let nowMs = 0;
        for (const [i, { gapMs, skewMs }] of all.entries()) {
          nowMs += gapMs;
          if (i === cut) {
            const snapshot = windows.snapshotMachine('m')!;
            windows = new RollingWindows(options, (result) => results.push(result));
            windows.restoreMachine(JSON.parse(JSON.stringify(snapshot)) as MachineWindowsSnapshot);
          }
          inside.push({ ts: nowMs + skewMs, value: i });
          expect(windows.update('m', 'x', nowMs + skewMs, i, { arrivedMs: nowMs, clockMs: 0 })).toBe('counted');
        }
        windows.update('m', 'x', nowMs + 1e6, 0);
        for (const result of results) {
          const { startMs, endMs } = result;
          expect(result.revision).toBe(0);
          const readings = inside.filter(({ ts }) => ts >= startMs && ts < endMs);
          expect(result.count).toBe(readings.length);
          expectBatch(result, readings, options.sizeMs / 3);
        }
        const counted = results.reduce((sum, { count }) => sum + count, 0);
        expect(counted).toBe((inside.length * options.sizeMs) / options.hopMs);
      }),
    );
  });

  it('revisions of a window count up from 0 without a gap', () => {
    fc.assert(
      fc.property(shapes, readings, (options, all) => {
        const next = new Map<string, number>();
        const { results } = collect(options, all);
        for (const { id, revision } of results) {
          expect(revision).toBe(next.get(id) ?? 0);
          next.set(id, revision + 1);
        }
      }),
    );
  });

  it('going on from a snapshot that went through JSON gives what going on without one gives', () => {
    fc.assert(
      fc.property(shapes, readings, fc.nat(200), fc.boolean(), (options, all, cut, closes) => {
        const { windows: uninterrupted, results: straight } = collect(options, all.slice(0, cut));
        const { windows, results: before } = collect(options, all.slice(0, cut));
        for (const each of closes ? [uninterrupted, windows] : []) each.close('press-7');
        for (const { ts, value } of all.slice(cut)) uninterrupted.update('press-7', 'velocity_rms', ts, value);
        const snapshot = windows.snapshotMachine('press-7');
        const after: WindowResult[] = [];
        const restored = new RollingWindows(options, (result) => after.push(result));
        if (snapshot) restored.restoreMachine(JSON.parse(JSON.stringify(snapshot)) as MachineWindowsSnapshot);
        for (const { ts, value } of all.slice(cut)) restored.update('press-7', 'velocity_rms', ts, value);
        expect([...before, ...after]).toEqual(straight);
      }),
    );
  });
});

function expectBatch(result: WindowResult, readings: readonly Reading[], timeConstantMs: number): void {
  const n = readings.length;
  const values = readings.map(({ value }) => value);
  const mean = values.reduce((a, b) => a + b, 0) / n;
  const meanTime = readings.reduce((sum, { ts }) => sum + ts, 0) / n;
  let squares = 0;
  let timeSquares = 0;
  let products = 0;
  let weight = 0;
  let weighted = 0;
  for (const { ts, value } of readings) {
    squares += (value - mean) ** 2;
    timeSquares += (ts - meanTime) ** 2;
    products += (value - mean) * (ts - meanTime);
    const w = Math.exp((ts - result.endMs) / timeConstantMs);
    weight += w;
    weighted += w * value;
  }
  expect(result.min).toBe(Math.min(...values));
  expect(result.max).toBe(Math.max(...values));
  expectClose(result.mean, mean, 1e6);
  expectClose(result.deviation ?? 0, n > 1 ? Math.sqrt(squares / (n - 1)) : 0, 1e6);
  expectClose(result.slopePerSecond ?? 0, timeSquares > 0 ? (1000 * products) / timeSquares : 0, 1e9);
  expectClose(result.ewma, weighted / weight, 1e6);
}

function expectClose(actual: number, expected: number, scale: number): void {
  expect(Math.abs(actual - expected)).toBeLessThanOrEqual(1e-9 * scale);
}
