import { describe, expect, it } from '@jest/globals';
import { Judging } from '#core/alerting/judging.ts';
import { stampedEvent } from '#core/contracts/sample-event.ts';
import type { StampedEvent } from '#core/domain/event.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';
import type { Checkpoint } from '#core/ports/checkpoint-store.ts';
import { SavedState } from './saved-state.ts';

const WINDOWS = { sizeMs: 1000, hopMs: 1000, watermarkDelayMs: 0, allowedLatenessMs: 500, maxSeries: 1000 };
const MACHINES = 200;
const always = async () => true;

/** Checkpoints in memory, which go away after so many saves. */
class Checkpoints {
  readonly saved = new Map<string, Checkpoint>();
  savesLeft = Infinity;

  async load(name: string): Promise<Checkpoint | undefined> {
    return this.saved.get(name);
  }

  async save(name: string, state: Uint8Array, expectedVersion: number): Promise<Checkpoint> {
    if (this.savesLeft-- <= 0) throw new PortError('unavailable', 'the disk is gone');
    expect(this.saved.get(name)?.version ?? 0).toBe(expectedVersion);
    const checkpoint = { version: expectedVersion + 1, state };
    this.saved.set(name, checkpoint);
    return checkpoint;
  }

  sizes(): Record<string, number> {
    const machines = (state: Uint8Array) => (JSON.parse(Buffer.from(state).toString()) as unknown[]).length;
    const shards = [...this.saved].filter(([name]) => name !== 'alert-engine/manifest');
    return Object.fromEntries(shards.map(([name, { state }]) => [name, machines(state)]));
  }
}

function judging(): Judging {
  return new Judging({ latenessMs: 10_000, windows: WINDOWS, windowIdleMs: 5000, onUnjudged: () => undefined });
}

function readings(machines: number): StampedEvent[] {
  return Array.from({ length: machines }, (_, i) => {
    const payload = Buffer.from(JSON.stringify({ ts: 100, metrics: { heat: i } }));
    return stampedEvent(i + 1, {
      kind: 'telemetry',
      key: `acme/akron/press-${i}` as MachineKey,
      payload,
      acceptedAtMs: 100,
    });
  });
}

/** A plant of one machine, saved, that then grows. */
async function grownPlant(checkpoints: Checkpoints) {
  const judge = judging();
  const state = new SavedState(checkpoints, judge);
  await state.load(1);
  judge.take('metrics', readings(1)[0]!);
  await state.save({ metrics: 1 }, Infinity, always);
  for (const event of readings(MACHINES)) judge.take('metrics', event);
  return { judge, state };
}

async function restart(checkpoints: Checkpoints) {
  checkpoints.savesLeft = Infinity;
  const judge = judging();
  const state = new SavedState(checkpoints, judge);
  const takenUntil = await state.load(MACHINES);
  return { judge, state, takenUntil };
}

const rulesOf = (judge: Judging) =>
  readings(MACHINES).map(({ key }) => judge.engine.snapshotMachine(key)?.newestMs ?? 'none');

describe('the state of a plant that grows while it runs', () => {
  it('is divided into more shards at its next save, and those of before are emptied', async () => {
    const checkpoints = new Checkpoints();
    const { state } = await grownPlant(checkpoints);
    await state.save({ metrics: 2 }, Infinity, always);
    const { 'alert-engine/1/0': before, ...now } = checkpoints.sizes();
    expect(before).toBe(0);
    expect(Object.keys(now).sort()).toEqual([0, 1, 2, 3].map((shard) => `alert-engine/4/${shard}`));
    expect(Object.values(now).reduce((sum, machines) => sum + machines)).toBe(MACHINES);
  });

  it('is whole after a crash at any save of the pass, with the events that are taken again', async () => {
    for (let saves = 0; saves <= 6; saves++) {
      const checkpoints = new Checkpoints();
      const { judge, state } = await grownPlant(checkpoints);
      checkpoints.savesLeft = saves;
      await state.save({ metrics: 2 }, Infinity, always).catch(() => undefined);
      const next = await restart(checkpoints);
      expect({ saves, ...next.takenUntil }).toEqual({ saves, metrics: saves < 5 ? 1 : 2 });
      if (saves < 5) for (const event of readings(MACHINES)) next.judge.take('metrics', event);
      expect(rulesOf(next.judge)).toEqual(rulesOf(judge));
      await next.state.save({ metrics: 3 }, Infinity, always);
      expect(rulesOf((await restart(checkpoints)).judge)).toEqual(rulesOf(judge));
    }
  });

  it('keeps one machine for good although the pass that divides it is not over', async () => {
    const checkpoints = new Checkpoints();
    const { state } = await grownPlant(checkpoints);
    await state.save({ metrics: 2 }, 0, always);
    expect(state.isSaving).toBe(true);
    const [event] = readings(MACHINES).slice(-1);
    await state.saveMachine(event!.key, { metrics: 2 }, always);
    expect((await restart(checkpoints)).judge.engine.snapshotMachine(event!.key)).toMatchObject({ newestMs: 100 });
  });
});
