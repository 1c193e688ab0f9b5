import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { FaultKind } from '#services/edge-simulator/signal/faults.ts';
import type { LifeAlarms } from '#test/datasets/simulated-life.ts';
import type { DetectionResult } from './detection.ts';

const TIMEOUT_MS = 300_000;

/** What turns with the shaft lies below the 500 Hz from which the health model looks: that is the ISO rules' matter. */
const SEEN_BY: Readonly<Record<FaultKind, string>> = {
  imbalance: 'iso-above-baseline',
  misalignment: 'iso-above-baseline',
  looseness: 'iso-above-baseline',
  'bearing-outer': 'model-anomaly',
  'bearing-inner': 'model-anomaly',
  'bearing-ball': 'model-anomaly',
  'bearing-cage': 'model-anomaly',
  cavitation: 'model-anomaly',
};

const MACHINES = ['pump-1', 'fan-1', 'gearbox-1', 'motor-1', 'press-1'];

describe('simulated lives through features, health model and default rules (npm run bench -- detection)', () => {
  let result: DetectionResult;
  // In a process of its own: the same sums take ten times as long in a test runner's context.
  beforeAll(async () => {
    const main = fileURLToPath(new URL('./main.ts', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [main, 'detection', '--short']);
    result = JSON.parse(stdout.trim().split('\n').at(-1)!) as DetectionResult;
  }, TIMEOUT_MS);

  const lifeOf = (machine: string, fault: FaultKind): LifeAlarms =>
    result.faults.find((each) => each.machine === machine && each.fault === fault)!.lives[0]!;

  it.each(Object.entries(SEEN_BY) as [FaultKind, string][])(
    'a pump with %s: %s tells of it before half of its severity, and nothing does before it began',
    (fault, rule) => {
      const { detections, falseAlarms } = lifeOf('pump-1', fault);
      expect(falseAlarms).toEqual([]);
      expect(detections[0]).toMatchObject({ rule });
      expect(detections[0]!.severity).toBeLessThan(0.5);
      expect(detections[0]!.leadOfGrowth).toBeGreaterThan(0.2);
    },
  );

  it.each((Object.keys(SEEN_BY) as FaultKind[]).filter((fault) => fault !== 'bearing-cage'))(
    'a press with %s: is told of before the end of life, and nothing is before it began',
    (fault) => {
      const { detections, falseAlarms } = lifeOf('press-1', fault);
      expect(falseAlarms).toEqual([]);
      expect(detections[0]?.severity).toBeLessThan(1);
    },
  );

  it('a press with a broken cage fails unseen, as docs/performance.md says', () => {
    expect(lifeOf('press-1', 'bearing-cage')).toEqual({ falseAlarms: [], detections: [] });
  });

  it.each(MACHINES)('a healthy %s raises nothing', (machine) => {
    const healthy = result.healthy.find((each) => each.machine === machine)!;
    expect(healthy.lives).toEqual([{ falseAlarms: [], detections: [] }]);
  });
});
