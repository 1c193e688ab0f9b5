import { describe, expect, it } from '@jest/globals';
import type { DeviceId, MachineKey, TenantId } from '../domain/ids.ts';
import type { Device } from '../ports/device-registry.ts';
import { DeviceBindings } from './device-bindings.ts';

const GAUGE = 'gauge-1' as DeviceId;
const device = (machine: string, enabled = true): Device => ({
  ...{ id: GAUGE, tenant: 'north' as TenantId, enabled, createdAtMs: 1 },
  machines: [`north/akron/${machine}` as MachineKey],
});

/** A registry that counts how often it is asked, and whose clock stands still unless told. */
function start(registered?: Device) {
  const listeners = new Set<() => void>();
  const state = { registered, asked: 0, nowMs: 0, answer: Promise.resolve(undefined) };
  const bindings = new DeviceBindings(
    {
      getDevice: async () => {
        state.asked++;
        const { registered: read } = state;
        await state.answer;
        return read;
      },
      listDevices: async () => (state.registered ? [state.registered] : []),
      onChange: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    { nowMs: () => state.nowMs, monotonicMs: () => state.nowMs },
    () => undefined,
  );
  const tellOfChange = () => listeners.forEach((listener) => listener());
  return { state, bindings, tellOfChange, listeners };
}

describe('what a gateway knows of devices', () => {
  it('asks the registry about a device that may not speak once a second, however often that sends', async () => {
    const { state, bindings } = start();
    for (let ms = 0; ms < 2500; ms += 10) {
      state.nowMs = ms;
      expect(await bindings.recheck(GAUGE)).toBeUndefined();
    }
    expect(state.asked).toBe(3);
    bindings.close();
  });

  it('asks again at once after a change that the registry tells of', async () => {
    const { state, bindings, tellOfChange } = start();
    await bindings.recheck(GAUGE);
    state.registered = device('press-7');
    expect(await bindings.recheck(GAUGE)).toBeUndefined();
    tellOfChange();
    expect((await bindings.recheck(GAUGE))?.device).toEqual(device('press-7'));
    bindings.close();
  });

  it('asks again where a change was told while the registry was answering', async () => {
    const { state, bindings, tellOfChange } = start();
    const answer = Promise.withResolvers<undefined>();
    state.answer = answer.promise;
    const early = bindings.recheck(GAUGE);
    state.registered = device('press-7');
    tellOfChange();
    answer.resolve(undefined);
    expect(await early).toBeUndefined();
    expect((await bindings.recheck(GAUGE))?.device).toEqual(device('press-7'));
    bindings.close();
  });

  it('says meanwhile what it knows: the device as it was, or none that is disabled', async () => {
    const { state, bindings } = start(device('press-7'));
    for (let i = 0; i < 3; i++) expect((await bindings.recheck(GAUGE))?.device).toEqual(device('press-7'));
    expect(state.asked).toBe(2);
    state.registered = device('pump-2');
    expect((await bindings.recheck(GAUGE))?.device).toEqual(device('press-7'));
    state.nowMs = 1000;
    expect((await bindings.recheck(GAUGE))?.device).toEqual(device('pump-2'));
    state.registered = device('pump-2', false);
    state.nowMs = 2000;
    expect(await bindings.recheck(GAUGE)).toBeUndefined();
    expect(bindings.known(GAUGE)).toBeUndefined();
    bindings.close();
  });

  it('asks again at once after an answer that was news', async () => {
    const { state, bindings } = start(device('press-7'));
    await bindings.recheck(GAUGE);
    state.registered = device('pump-2');
    expect((await bindings.recheck(GAUGE))?.device).toEqual(device('pump-2'));
    bindings.close();
  });

  it('remembers whom it asked about for ten thousand devices at most', async () => {
    const { state, bindings } = start();
    const many = Array.from({ length: 10_001 }, (_, i) => `gauge-${i}` as DeviceId);
    for (const id of many) await bindings.recheck(id);
    await bindings.recheck(many.at(-1)!);
    expect(state.asked).toBe(10_001);
    await bindings.recheck(many[0]!);
    expect(state.asked).toBe(10_002);
    bindings.close();
  });

  it('listens to the registry no more once it is closed', () => {
    const { bindings, listeners } = start();
    expect(listeners.size).toBeGreaterThan(0);
    bindings.close();
    expect(listeners.size).toBe(0);
  });
});
