import { describe, expect, it } from '@jest/globals';
import { Judging } from '#core/alerting/judging.ts';
import { stampedEvent } from '#core/contracts/sample-event.ts';
import type { StampedEvent } from '#core/domain/event.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { codeOf, PortError } from '#core/errors.ts';
import type { Checkpoint } from '#core/ports/checkpoint-store.ts';
import { SavedState, type Unsettled } from './saved-state.ts';

const WINDOWS = { sizeMs: 1000, hopMs: 1000, watermarkDelayMs: 0, allowedLatenessMs: 500, maxSeries: 1000 };
const MACHINES = 200;
const settled: Unsettled = { settle: async () => undefined, isEmpty: () => true };
const hasLease = async () => undefined;

/** Checkpoints in memory, which go away after so many saves. */
class Checkpoints {
  readonly saved = new Map<string, Checkpoint>();
  /** Names whose next save is done without an answer. */
  readonly answersLost = new Set<string>();
  savesLeft = Infinity;

  async load(name: string): Promise<Checkpoint | undefined> {
    return this.saved.get(name);
  }

  async save(name: string, state: Uint8Array, expectedVersion: number): Promise<Checkpoint> {
    if (this.savesLeft-- <= 0) throw new PortError('unavailable', 'the disk is gone');
    if ((this.saved.get(name)?.version ?? 0) !== expectedVersion)
      throw new PortError('failed_precondition', `${name} has not version ${expectedVersion}`);
    const checkpoint = { version: expectedVersion + 1, state };
    this.saved.set(name, checkpoint);
    if (this.answersLost.delete(name)) throw new PortError('deadline_exceeded', 'the answer was lost');
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
  const state = new SavedState(checkpoints, judge, hasLease);
  await state.load(1);
  judge.take('metrics', readings(1)[0]!);
  await state.save({ metrics: 1 }, Infinity, settled);
  for (const event of readings(MACHINES)) judge.take('metrics', event);
  return { judge, state };
}

async function restart(checkpoints: Checkpoints) {
  checkpoints.savesLeft = Infinity;
  const judge = judging();
  const state = new SavedState(checkpoints, judge, hasLease);
  const takenUntil = await state.load(MACHINES);
  return { judge, state, takenUntil };
}

const rulesOf = (judge: Judging) =>
  readings(MACHINES).map(({ key }) => judge.engine.snapshotMachine(key)?.newestMs ?? 'none');

describe('the state of a plant that grows while it runs', () => {
  it('is divided into more shards at its next save, and those of before are emptied', async () => {
    const checkpoints = new Checkpoints();
    const { state } = await grownPlant(checkpoints);
    await state.save({ metrics: 2 }, Infinity, settled);
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
      await state.save({ metrics: 2 }, Infinity, settled).catch(() => undefined);
      const next = await restart(checkpoints);
      expect({ saves, ...next.takenUntil }).toEqual({ saves, metrics: saves < 5 ? 1 : 2 });
      if (saves < 5) for (const event of readings(MACHINES)) next.judge.take('metrics', event);
      expect(rulesOf(next.judge)).toEqual(rulesOf(judge));
      await next.state.save({ metrics: 3 }, Infinity, settled);
      expect(rulesOf((await restart(checkpoints)).judge)).toEqual(rulesOf(judge));
    }
  });

  it('keeps one machine for good although the pass that divides it is not over', async () => {
    const checkpoints = new Checkpoints();
    const { state } = await grownPlant(checkpoints);
    await state.save({ metrics: 2 }, 0, settled);
    expect(state.isSaving).toBe(true);
    const [event] = readings(MACHINES).slice(-1);
    await state.saveMachine(event!.key, { metrics: 2 }, settled);
    expect((await restart(checkpoints)).judge.engine.snapshotMachine(event!.key)).toMatchObject({ newestMs: 100 });
  });
});

describe('a pass over the shards', () => {
  const taken = { metrics: 2 };

  it('is not complete while something that was decided is not durable, and then goes on', async () => {
    const checkpoints = new Checkpoints();
    const { judge, state } = await grownPlant(checkpoints);
    const before = new Map(checkpoints.saved);
    expect(await state.save(taken, Infinity, { ...settled, isEmpty: () => false })).toBe(false);
    expect(checkpoints.saved).toEqual(before);
    expect(await state.save(taken, 0, settled)).toBe(false);
    expect(await state.save(taken, Infinity, settled)).toBe(true);
    expect(rulesOf((await restart(checkpoints)).judge)).toEqual(rulesOf(judge));
  });

  it('leaves no shard out when what was decided cannot be made durable for a while', async () => {
    const checkpoints = new Checkpoints();
    const { judge, state } = await grownPlant(checkpoints);
    const settle = () => Promise.reject(new PortError('unavailable', 'the journal is away'));
    await expect(state.save(taken, Infinity, { ...settled, settle })).rejects.toMatchObject({ code: 'unavailable' });
    expect(await state.save(taken, Infinity, settled)).toBe(true);
    expect(rulesOf((await restart(checkpoints)).judge)).toEqual(rulesOf(judge));
  });

  it.each(['alert-engine/4/0', 'alert-engine/manifest'])(
    'is complete when it is tried again after the answer to a save of %s was lost',
    async (name) => {
      const checkpoints = new Checkpoints();
      const { judge, state } = await grownPlant(checkpoints);
      checkpoints.answersLost.add(name);
      await expect(state.save(taken, Infinity, settled)).rejects.toMatchObject({ code: 'deadline_exceeded' });
      const again = () => state.save(taken, Infinity, settled).catch(codeOf);
      expect([await again(), await again()]).toEqual(['unavailable', true]);
      const next = await restart(checkpoints);
      expect(next.takenUntil).toEqual(taken);
      expect(rulesOf(next.judge)).toEqual(rulesOf(judge));
    },
  );

  it('overwrites nothing once another process has the lease', async () => {
    const checkpoints = new Checkpoints();
    const judge = judging();
    const state = new SavedState(checkpoints, judge, () =>
      Promise.reject(new PortError('unavailable', 'another process judges now')),
    );
    await state.load(MACHINES);
    for (const event of readings(MACHINES)) judge.take('metrics', event);
    const other = await restart(checkpoints);
    expect(await other.state.save(taken, Infinity, settled)).toBe(true);
    const saved = new Map(checkpoints.saved);
    for (let tries = 0; tries < 3; tries++)
      await expect(state.save({ metrics: 1 }, Infinity, settled)).rejects.toThrow('another process judges now');
    expect(checkpoints.saved).toEqual(saved);
  });
});
