import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { deviceRegistryContract } from '#core/contracts/device-registry.contract.ts';
import { machineKey, type DeviceId, type MachineId, type SiteId, type TenantId } from '#core/domain/ids.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { sqliteDeviceRegistryConfigSchema } from './config.ts';
import { SqliteDeviceRegistry } from './sqlite-device-registry.ts';

async function openInFolder(limits: { maxDevices?: number; maxMachinesPerDevice?: number } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'tribo-devices-'));
  const opened: SqliteDeviceRegistry[] = [];
  const config = sqliteDeviceRegistryConfigSchema.parse({
    databasePath: join(folder, 'registry.db'),
    changePollMs: 10,
    ...limits,
  });
  const reopen = async () => {
    const registry = await SqliteDeviceRegistry.open(config, { nowMs: () => 1_795_222_800_000, monotonicMs: () => 0 });
    opened.push(registry);
    return registry;
  };
  const dispose = async () => {
    for (const each of opened) await each.close();
    rmSync(folder, { recursive: true });
  };
  return { registry: await reopen(), reopen, [Symbol.asyncDispose]: dispose };
}

describeContract(deviceRegistryContract, 'sqlite', async () => ({
  ...(await openInFolder()),
  tenants: ['north' as TenantId, 'south' as TenantId] as const,
  suffix: randomUUID().slice(0, 8),
}));

describe('SQLite device registry', () => {
  const tenant = 'north' as TenantId;
  const machines = ['press-7', 'pump-2'].map((id) => machineKey(tenant, 'akron' as SiteId, id as MachineId));

  it('refuses devices and bindings above its bounds', async () => {
    await using opened = await openInFolder({ maxDevices: 1, maxMachinesPerDevice: 1 });
    const { registry } = opened;
    await expect(registry.addDevice({ id: 'a' as DeviceId, tenant, machines })).rejects.toMatchObject({
      code: 'invalid_argument',
    });
    await registry.addDevice({ id: 'a' as DeviceId, tenant, machines: [] });
    await expect(registry.addDevice({ id: 'b' as DeviceId, tenant, machines: [] })).rejects.toMatchObject({
      code: 'resource_exhausted',
    });
  });

  it('keeps no secret in its file', async () => {
    await using opened = await openInFolder();
    const { device, secret } = await opened.registry.addDevice({ id: 'a' as DeviceId, tenant, machines });
    expect(JSON.stringify(await opened.registry.getDevice(device.id))).not.toContain(secret);
    expect(JSON.stringify(await opened.registry.listDevices(tenant))).not.toContain('hash');
  });
});
