import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { DeviceId, SiteId, TenantId } from '#core/domain/ids.ts';
import { openRuntime, type ServiceRuntime } from '#services/shared/composition.ts';
import { loadConfiguration } from '#services/shared/config/load.ts';
import { registerDemoPlant } from './demo-plant.ts';

const TENANT = 'demo' as TenantId;
const SITE = 'plant-1' as SiteId;

let dataDir: string;
let runtime: ServiceRuntime;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'tribo-demo-plant-'));
  runtime = openRuntime(loadConfiguration({ flags: { dataDir, logLevel: 'silent' } }), 'test');
});
afterEach(async () => {
  await runtime.close();
  rmSync(dataDir, { recursive: true });
});

describe('the demo plant at its next start', () => {
  it('has the machine that was renamed as it was, the one that was deleted again, and a new secret', async () => {
    const machines = await runtime.port('machineRegistry');
    const devices = await runtime.port('deviceRegistry');
    const before = await registerDemoPlant(runtime);
    const [renamed, deleted, ...others] = await machines.listMachines({ limit: 100 });
    await machines.putMachine(TENANT, SITE, { ...renamed!.machine, name: 'Name that somebody gave it' });
    await machines.deleteMachine(deleted!.key);

    const after = await registerDemoPlant(runtime);
    expect(await machines.getMachine(renamed!.key)).toMatchObject({
      machine: { name: 'Name that somebody gave it' },
      revision: 2,
    });
    expect(await machines.getMachine(deleted!.key)).toMatchObject({ machine: deleted!.machine });
    for (const other of others) expect(await machines.getMachine(other.key)).toEqual(other);
    expect(await devices.authenticate(after.id, before.secret)).toBeUndefined();
    expect(await devices.authenticate(after.id, after.secret)).toBeDefined();
  });

  it('has the device bound and disabled as somebody left it', async () => {
    const devices = await runtime.port('deviceRegistry');
    const id = (await registerDemoPlant(runtime)).id as DeviceId;
    const bound = ((await devices.getDevice(id))?.machines ?? []).slice(1);
    await devices.bindMachines(id, bound);
    await devices.setEnabled(id, false);

    await registerDemoPlant(runtime);
    expect(await devices.getDevice(id)).toMatchObject({ machines: bound, enabled: false });
  });

  it('of another tenant speaks for the machines of that one', async () => {
    await registerDemoPlant(runtime);
    const other = { ...runtime, configuration: { ...runtime.configuration, tenant: 'acme' } };
    const { id } = await registerDemoPlant(other);
    const device = await (await runtime.port('deviceRegistry')).getDevice(id as DeviceId);
    expect(device?.tenant).toBe('acme');
    expect(device?.machines).not.toEqual([]);
    expect(device?.machines.filter((key) => !key.startsWith('acme/'))).toEqual([]);
  });
});
