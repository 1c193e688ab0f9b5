import { describe, expect, it } from '@jest/globals';
import { stampedEvent } from '../contracts/sample-event.ts';
import type { EventKind, StampedEvent } from '../domain/event.ts';
import type { MachineKey } from '../domain/ids.ts';
import { Judging } from './judging.ts';

const WINDOWS = { sizeMs: 1000, hopMs: 1000, watermarkDelayMs: 0, allowedLatenessMs: 500, maxSeries: 2 };

function judging(): Judging {
  return new Judging({ latenessMs: 10_000, windows: WINDOWS });
}

let seq = 0;
function event(kind: EventKind, machine: string, body: unknown = {}): StampedEvent {
  const key = `acme/akron/${machine}` as MachineKey;
  return stampedEvent(++seq, { kind, key, acceptedAtMs: 0, payload: Buffer.from(JSON.stringify(body)) });
}

describe('judging', () => {
  it('keeps nothing of rejections and duplicates, so that made-up machine names cost nothing', () => {
    const judge = judging();
    judge.take('metrics', event('telemetry', 'press-7', { ts: 0, metrics: { heat: 60 } }));
    judge.saveShard(0);
    for (let i = 0; i < 10_000; i++) judge.take('metrics', event(i % 2 ? 'rejection' : 'duplicate', `ghost-${i}`));
    expect(judge.machineCount).toBe(1);
    expect(judge.dirtyShards()).toEqual([]);
    expect(judge.saveShard(0)).toHaveLength(1);
  });

  it('counts what became of readings in windows: late, too late, and without room for their series', () => {
    const judge = judging();
    const read = (ts: number, metrics: Record<string, number>) =>
      judge.take('metrics', event('telemetry', 'press-7', { ts, metrics }));
    read(0, { heat: 60, load: 1 });
    read(1200, { heat: 61 });
    read(900, { heat: 62 });
    read(5000, { heat: 63 });
    read(900, { heat: 64 });
    read(5000, { one_too_many: 1 });
    expect(judge.windowReadings).toEqual({ counted: 4, late: 1, too_late: 1, invalid: 0, refused: 1 });
  });
});
