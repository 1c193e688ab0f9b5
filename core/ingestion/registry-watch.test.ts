import { describe, expect, it, jest } from '@jest/globals';
import type { DeviceId, MachineKey, TenantId } from '../domain/ids.ts';
import type { Device } from '../ports/device-registry.ts';
import { RegistryWatch } from './registry-watch.ts';

const device = (id: string, tenant = 'north'): Device => ({
  ...{ id: id as DeviceId, tenant: tenant as TenantId, enabled: true, createdAtMs: 1 },
  machines: [`${tenant}/akron/press-7` as MachineKey],
});

/** A registry whose list waits until it is answered, and a watch of the devices in `known`. */
function start(known: Device[]) {
  let change: () => void = () => undefined;
  const asked: { readonly tenant: TenantId; readonly answer: (devices: readonly Device[]) => void }[] = [];
  const applied: [string, Device | undefined][] = [];
  const watch = new RegistryWatch({
    devices: {
      listDevices: (tenant) => new Promise((answer) => asked.push({ tenant, answer })),
      onChange: (listener) => {
        change = listener;
        return () => undefined;
      },
    },
    clock: { nowMs: () => 0, monotonicMs: () => Date.now() },
    onProblem: () => undefined,
    known: () => known,
    apply: (id, now) => applied.push([id, now]),
  });
  return { watch, asked, applied, change: () => change() };
}

describe('the watch of the device registry', () => {
  it('leaves a device alone that came while the registry was read, and reads it again for that one', async () => {
    jest.useFakeTimers();
    try {
      const known = [device('first')];
      const { watch, asked, applied, change } = start(known);
      change();
      await jest.advanceTimersByTimeAsync(100);
      known.push(device('second', 'south'));
      asked[0]!.answer([]);
      await jest.advanceTimersByTimeAsync(0);
      expect(applied).toEqual([['first', undefined]]);
      known.shift();
      await jest.advanceTimersByTimeAsync(100);
      expect(asked.map(({ tenant }) => tenant)).toEqual(['north', 'south']);
      asked[1]!.answer([device('second', 'south')]);
      await jest.advanceTimersByTimeAsync(1000);
      expect(applied.slice(1)).toEqual([['second', device('second', 'south')]]);
      expect(asked).toHaveLength(2);
      watch.stop();
    } finally {
      jest.useRealTimers();
    }
  });

  it.each([
    ['ten times as long as the last one took', 500, 5000],
    ['ten seconds at most, however long it took', 60_000, 10_000],
  ])('waits between readings %s', async (_what, tookMs, waitsMs) => {
    jest.useFakeTimers();
    try {
      const { watch, asked, applied, change } = start([device('first')]);
      change();
      await jest.advanceTimersByTimeAsync(100);
      change();
      await jest.advanceTimersByTimeAsync(tookMs);
      asked[0]!.answer([device('first')]);
      await jest.advanceTimersByTimeAsync(waitsMs - 1);
      expect(asked).toHaveLength(1);
      await jest.advanceTimersByTimeAsync(1);
      asked[1]!.answer([{ ...device('first'), enabled: false }]);
      await jest.advanceTimersByTimeAsync(0);
      expect(applied.at(-1)).toEqual(['first', { ...device('first'), enabled: false }]);
      watch.stop();
    } finally {
      jest.useRealTimers();
    }
  });
});
