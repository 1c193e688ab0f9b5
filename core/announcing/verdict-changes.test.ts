import { beforeEach, describe, expect, it } from '@jest/globals';
import { stampedEvent } from '../contracts/sample-event.ts';
import type { MachineKey } from '../domain/ids.ts';
import { predictionDocument, type HealthVerdict } from '../inference/prediction.ts';
import type { Announcement, PredictionNotice } from './announcement.ts';
import { VerdictChanges } from './verdict-changes.ts';

const PUMP = 'demo/akron/pump-1' as MachineKey;

let newest: Map<string, Announcement>;
let told: PredictionNotice[];
let nowMs: number;
let changes: VerdictChanges;

function start(notify: readonly string[] = ['webhook']): void {
  changes = new VerdictChanges({
    announcements: {
      announced: async (subject) => newest.get(subject),
      announce: async (announcements) => {
        for (const each of announcements) {
          newest.set(each.subject, each);
          told.push(each.notice as PredictionNotice);
        }
      },
    },
    clock: { nowMs: () => nowMs, monotonicMs: () => nowMs },
    notify,
  });
}

beforeEach(() => {
  newest = new Map();
  told = [];
  nowMs = 1_000_000;
  start();
});

let number = 0;
function prediction(verdict: HealthVerdict, { sensor = 'de', ...more }: { sensor?: string; imported?: boolean } = {}) {
  const features = { id: `f-${number++}`, ts: nowMs, sensor };
  const document = predictionDocument(
    PUMP,
    features,
    { score: 4, threshold: 3 },
    {
      verdict,
      model: { name: 'health', version: 2, sha256: 'x' },
      threshold: 3,
      window: { fromMs: 0, toMs: nowMs },
      featuresId: features.id,
      baseline: { sinceMs: 0, startedBy: 'first-data' },
    },
  );
  const payload = Buffer.from(JSON.stringify(document));
  return stampedEvent(nowMs, { key: PUMP, kind: 'prediction', items: 0, payload, ...more });
}

/** One prediction a minute. */
async function judged(...verdicts: HealthVerdict[]): Promise<void> {
  for (const verdict of verdicts) {
    nowMs += 60_000;
    await changes.take([prediction(verdict)]);
  }
}

describe('predictions that are announced', () => {
  it('are those whose verdict is another than the one before', async () => {
    await judged('learning', 'healthy', 'healthy', 'unknown', 'healthy', 'degraded', 'degraded', 'alarm', 'healthy');
    expect(told.map(({ before, verdict }) => [before, verdict])).toEqual([
      [undefined, 'healthy'],
      ['healthy', 'degraded'],
      ['degraded', 'alarm'],
      ['alarm', 'healthy'],
    ]);
    expect(told[2]).toMatchObject({
      ...{ kind: 'prediction', machine: PUMP, sensor: 'de', threshold: 3, model: { name: 'health', version: 2 } },
      values: { 'de.anomaly_score': 4 },
    });
  });

  it('are told of each sensor at most once a minute, and then as it is', async () => {
    for (let n = 0; n < 600; n++) {
      nowMs += 1000;
      await changes.take([prediction(n % 2 === 0 ? 'healthy' : 'degraded'), prediction('healthy', { sensor: 'nde' })]);
    }
    expect(told.filter(({ sensor }) => sensor === 'de').length).toBeLessThanOrEqual(11);
    expect(told.filter(({ sensor }) => sensor === 'nde')).toHaveLength(1);
  });

  it('are not told again after a restart, nor for the same events once more', async () => {
    await judged('healthy');
    start();
    await judged('healthy');
    const event = prediction('degraded');
    await changes.take([event]);
    start();
    await changes.take([event]);
    expect(told.map(({ verdict }) => verdict)).toEqual(['healthy', 'degraded']);
  });

  it('are told in the order of their waveforms alone, also where they come again long after', async () => {
    const events = (['healthy', 'degraded', 'alarm'] as const).map((verdict) => {
      nowMs += 120_000;
      return prediction(verdict);
    });
    for (const again of [false, true, true]) {
      if (again) start();
      for (const event of events) {
        nowMs += 120_000;
        await changes.take([event]);
      }
    }
    expect(told.map(({ verdict }) => verdict)).toEqual(['healthy', 'degraded', 'alarm']);
  });

  it.each([
    ['imported ones', [prediction('alarm', { imported: true })]],
    ['what cannot be read', [{ ...prediction('alarm'), payload: Buffer.from('{') }]],
    ['what is no document', [{ ...prediction('alarm'), payload: Buffer.from('null') }]],
  ])('are not %s', async (_what, events) => {
    await changes.take(events);
    expect(told).toEqual([]);
  });

  it('are none where nobody asked for them', async () => {
    start([]);
    await judged('healthy', 'alarm');
    expect(told).toEqual([]);
  });
});
