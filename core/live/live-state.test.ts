import { describe, expect, it } from '@jest/globals';
import { stampedEvent } from '../contracts/sample-event.ts';
import type { StampedEvent } from '../domain/event.ts';
import type { DeviceId, MachineKey } from '../domain/ids.ts';
import type { DevicePresence } from '../ports/device-gateway.ts';
import { LiveState } from './live-state.ts';

const press = 'demo/akron/press-7' as MachineKey;
const pump = 'demo/akron/pump-2' as MachineKey;

function event(key: MachineKey, acceptedAtMs: number, body: unknown, more: Partial<StampedEvent> = {}): StampedEvent {
  const payload = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  return stampedEvent(acceptedAtMs, { key, acceptedAtMs, payload, ...more });
}

const reading = (ts: number, metrics: Record<string, unknown>) => ({ ts, metrics });
const live = (options = {}) => new LiveState({ incarnation: 'a', ...options });

describe('live state', () => {
  it('tells the newest value of each metric, and when the machine was last heard of', async () => {
    const state = live();
    state.observe([
      event(press, 1000, reading(900, { rpm: 1480, temperature: 60 })),
      event(press, 1300, reading(1200, { temperature: { value: 61, unit: 'Cel', quality: 'good' } })),
    ]);
    expect((await state.changes()).machines).toEqual([
      {
        key: press,
        receivedAtMs: 1300,
        tsMs: 1200,
        metrics: { rpm: 1480, temperature: 61 },
        units: { temperature: 'Cel' },
      },
    ]);
  });

  it('tells only what changed since the cursor', async () => {
    const state = live();
    state.observe([event(press, 1000, reading(900, { rpm: 1480 })), event(pump, 1000, reading(900, { rpm: 2900 }))]);
    const { cursor } = await state.changes();
    expect((await state.changes(cursor)).machines).toEqual([]);
    state.observe([event(pump, 2000, reading(1900, { temperature: 50 }))]);
    expect((await state.changes(cursor)).machines).toEqual([
      { key: pump, receivedAtMs: 2000, tsMs: 1900, metrics: { temperature: 50 } },
    ]);
  });

  it.each([['b:99'], ['nonsense'], ['a:x'], ['']])(
    'tells everything for a cursor of another process (%j)',
    async (cursor) => {
      const state = live();
      state.observe([event(press, 1000, reading(900, { rpm: 1480 }))]);
      expect((await state.changes(cursor)).machines).toHaveLength(1);
    },
  );

  it('does not let a late reading hide a newer one', async () => {
    const state = live();
    state.observe([event(press, 1000, reading(900, { rpm: 1480 })), event(press, 2000, reading(500, { rpm: 0 }))]);
    expect((await state.changes()).machines[0]?.metrics).toEqual({ rpm: 1480 });
  });

  it('looks at a few messages a second of a machine that sends many, and still knows when it was last heard of', async () => {
    const state = live({ sampleEveryMs: 250 });
    const events = Array.from({ length: 1000 }, (_unused, i) => event(press, 1000 + i, reading(1000 + i, { rpm: i })));
    state.observe(events);
    const [machine] = (await state.changes()).machines;
    expect(machine?.receivedAtMs).toBe(1999);
    expect(machine?.metrics['rpm']).toBe(999);
  });

  it('shows the newest message also where it came right after another', async () => {
    const state = live();
    state.observe([
      event(press, 1000, reading(1000, { rpm: 1 })),
      event(press, 1001, reading(1001, { temperature: 60 })),
    ]);
    expect((await state.changes()).machines[0]?.metrics).toEqual({ rpm: 1, temperature: 60 });
  });

  it('keeps only samples while nobody asks', async () => {
    const state = live();
    for (let i = 0; i < 10_001; i++) state.observe([event(press, 1000 + (i % 200), reading(i, { rpm: i }))]);
    expect((await state.changes()).machines[0]?.metrics).toEqual({ rpm: 0 });
    state.observe([event(press, 1201, reading(20_000, { rpm: 7 }))]);
    expect((await state.changes()).machines[0]?.metrics).toEqual({ rpm: 7 });
  });

  it('goes on sampling after the clock was set back', async () => {
    const state = live();
    state.observe([event(press, 10_000_000, reading(1, { rpm: 1 })), event(press, 5000, reading(2, { rpm: 2 }))]);
    expect((await state.changes()).machines[0]?.metrics).toEqual({ rpm: 2 });
  });

  it('shows a machine that sent a waveform as heard of, without readings', async () => {
    const state = live();
    state.observe([event(press, 1000, {}, { kind: 'waveform' })]);
    expect((await state.changes()).machines).toEqual([{ key: press, receivedAtMs: 1000, metrics: {} }]);
  });

  it.each([
    ['imported data', event(press, 1000, reading(900, { rpm: 1 }), { imported: true })],
    ['derived events', event(press, 1000, {}, { kind: 'features' })],
    ['rejections', event(press, 1000, [], { kind: 'rejection' })],
  ])('does not take %s for a sign of life', async (_what, given) => {
    const state = live();
    state.observe([given]);
    expect((await state.changes()).machines).toEqual([]);
  });

  it('shows nothing of a payload that cannot be read', async () => {
    const state = live();
    state.observe([event(press, 1000, '{"ts":')]);
    expect((await state.changes()).machines[0]?.metrics).toEqual({});
  });

  it('stays within its bounds', async () => {
    const state = live({ maxMachines: 1, maxMetricsPerMachine: 2, maxDevices: 1 });
    state.observe([event(press, 1000, reading(900, { a: 1, b: 2, c: 3 })), event(pump, 1000, reading(900, { a: 1 }))]);
    state.presence({ device: 'one' as DeviceId, machines: [press], by: 'connection', online: true, atMs: 1 });
    state.presence({ device: 'two' as DeviceId, machines: [press], by: 'connection', online: true, atMs: 2 });
    const { machines, presence } = await state.changes();
    expect(machines).toHaveLength(1);
    expect(machines[0]?.metrics).toEqual({ a: 1, b: 2 });
    expect(presence.map(({ device }) => device)).toEqual(['two']);
  });

  it('tells which devices came and went', async () => {
    const state = live();
    const presence: DevicePresence = {
      device: 'gateway' as DeviceId,
      machines: [press, pump],
      by: 'connection',
      online: true,
      atMs: 1000,
    };
    state.presence(presence);
    expect((await state.changes()).presence).toEqual([presence]);
    const ofPump: DevicePresence = { ...presence, machines: [pump], by: 'status', online: false };
    state.presence(ofPump);
    const second = await state.changes();
    expect(second.presence).toEqual([presence, ofPump]);
    state.presence({ ...presence, online: false, atMs: 2000 });
    expect((await state.changes(second.cursor)).presence).toEqual([{ ...presence, online: false, atMs: 2000 }]);
  });
});
