import { describe, expect, it } from '@jest/globals';
import { stampedEvent } from '../contracts/sample-event.ts';
import type { StampedEvent } from '../domain/event.ts';
import type { MachineKey } from '../domain/ids.ts';
import type { MachineHistoryEvent } from '../ports/machine-registry.ts';
import { DEFAULT_INDICATOR_PARAMETERS } from './health-indicator.ts';
import {
  decodeMachineHealth,
  encodeMachineHealth,
  judgeMachine,
  MAX_SENSORS,
  NEW_MACHINE,
  type MachineHealth,
} from './machine-health.ts';
import type { HealthPolicy, SensorHealthDependencies } from './sensor-health.ts';

const KEY = 'demo/akron/press-7' as MachineKey;
const POLICY: HealthPolicy = { indicator: DEFAULT_INDICATOR_PARAMETERS, promotion: 'automatic', startAnewAfter: [] };
/** Learning asks nothing of registry and models. */
const NOTHING = {} as SensorHealthDependencies;

function featuresOf(seq: number, { sensor = 'acc', source = 's', epoch = 1 } = {}): StampedEvent {
  const document = {
    kind: 'features',
    id: `f${seq}`,
    revision: 1,
    ts: seq,
    sensor,
    values: { [`${sensor}.band_500_1000_hz_rms_g`]: 0.1 },
    body: {},
  };
  const payload = Buffer.from(JSON.stringify(document));
  return stampedEvent(seq, { kind: 'features', key: KEY, items: 0, acceptedAtMs: seq, payload, source, epoch });
}

const judge = (known: MachineHealth, ...events: readonly StampedEvent[]) => judgeWith([], known, ...events);

const judgeWith = (history: readonly MachineHistoryEvent[], known: MachineHealth, ...events: readonly StampedEvent[]) =>
  judgeMachine(KEY, known, events, history, POLICY, NOTHING);

/** Maintenance from one time to another. */
function maintenance(fromMs: number, toMs: number): readonly MachineHistoryEvent[] {
  const note = { key: KEY, by: 'ada', text: '' };
  return [
    { ...note, id: `s${fromMs}`, kind: 'maintenance-start', atMs: fromMs },
    { ...note, id: `e${fromMs}`, kind: 'maintenance-end', atMs: toMs },
  ];
}

const learnt = ({ sensors }: MachineHealth, sensor = 'acc') => {
  const stage = sensors[sensor]?.stage;
  return stage?.phase === 'learning' ? stage.indicator.vectors.length : undefined;
};

describe('health of a machine', () => {
  it('takes each features event once, and gives the latest predictions again for one that comes again', async () => {
    const first = await judge(NEW_MACHINE, featuresOf(1), featuresOf(2));
    const again = await judge(first.state, featuresOf(2));
    expect(again).toMatchObject({ isChanged: false, state: first.state, skipped: { redelivered: 1 } });
    expect(again.publish).toEqual(first.publish);
    const further = await judge(first.state, featuresOf(2), featuresOf(3));
    expect(further.publish).toHaveLength(3);
    expect(learnt(further.state)).toBe(3);
  });

  it('knows the progress of each publisher and each of its incarnations', async () => {
    const { state } = await judge(NEW_MACHINE, featuresOf(9));
    const other = await judge(state, featuresOf(1, { source: 'other' }), featuresOf(1, { epoch: 2 }), featuresOf(9));
    expect(other.skipped.redelivered).toBe(1);
    expect(other.state.progress).toHaveLength(3);
  });

  it.each([
    ['in the time in which it learnt', maintenance(2, 4), 1],
    ['before it learnt', maintenance(0, 1), 4],
    ['after it learnt', maintenance(6, 7), 4],
  ])('learns anew where maintenance is noted afterwards %s, once, over a restart too', async (_when, noted, sets) => {
    const { state } = await judge(NEW_MACHINE, featuresOf(1), featuresOf(3), featuresOf(5));
    const restarted = decodeMachineHealth(KEY, encodeMachineHealth(state));
    const { state: next } = await judgeWith(noted, restarted, featuresOf(9));
    expect(learnt(next)).toBe(sets);
    const again = decodeMachineHealth(KEY, encodeMachineHealth(next));
    expect(learnt((await judgeWith(noted, again, featuresOf(10))).state)).toBe(sets + 1);
  });

  it('goes on learning around maintenance that it knew of', async () => {
    const noted = maintenance(2, 4);
    const { state, skipped } = await judgeWith(noted, NEW_MACHINE, featuresOf(1), featuresOf(3), featuresOf(5));
    expect(skipped['not-running']).toBe(1);
    expect(learnt((await judgeWith(noted, state, featuresOf(6))).state)).toBe(3);
  });

  it('keeps a bounded number of publishers', async () => {
    const epochs = Array.from({ length: 90 }, (_, epoch) => featuresOf(1, { epoch }));
    const { state } = await judge(NEW_MACHINE, ...epochs);
    expect(state.progress).toHaveLength(64);
    expect(state.progress.at(-1)).toEqual({ source: 's', epoch: 89, seq: 1 });
  });

  it('keeps a bounded number of sensors, and those it has go on', async () => {
    const sensors = Array.from({ length: MAX_SENSORS + 2 }, (_, i) => featuresOf(i + 1, { sensor: `acc-${i}` }));
    const { state, skipped, publish } = await judge(NEW_MACHINE, ...sensors);
    expect(skipped['too-many-sensors']).toBe(2);
    expect(publish).toHaveLength(MAX_SENSORS);
    expect(learnt((await judge(state, featuresOf(1000, { sensor: 'acc-0' }))).state, 'acc-0')).toBe(2);
  });

  it('changes nothing that it is given', async () => {
    const { state } = await judge(NEW_MACHINE, featuresOf(1));
    const before = JSON.stringify(state);
    await judge(state, featuresOf(2));
    expect(JSON.stringify(state)).toBe(before);
    expect(NEW_MACHINE.progress).toEqual([]);
  });

  it('is saved and read exactly', async () => {
    const { state } = await judge(NEW_MACHINE, featuresOf(1), featuresOf(2, { sensor: 'acc-2' }));
    expect(decodeMachineHealth(KEY, encodeMachineHealth(state))).toEqual(state);
  });

  it.each([
    ['damaged', '{"format":1,', 'data_loss'],
    ['of a newer release', '{"format":2}', 'failed_precondition'],
  ])('refuses a saved state that is %s', (_what, saved, code) => {
    expect(() => decodeMachineHealth(KEY, Buffer.from(saved))).toThrow(expect.objectContaining({ code }));
  });
});
