import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { deviceRegistryContract } from '#core/contracts/device-registry.contract.ts';
import { movableDeviceRegistryContract } from '#core/contracts/movable.contract.ts';
import { machineKey, type DeviceId, type MachineId, type SiteId, type TenantId } from '#core/domain/ids.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { openInFolder } from '#test/support/store-in-folder.ts';
import { twoSites } from '#test/support/two-sites.ts';
import { sqliteDeviceRegistryConfigSchema } from './config.ts';
import { SqliteDeviceRegistry } from './sqlite-device-registry.ts';

const openAlone = (
  limits: { maxDevices?: number; maxMachinesPerDevice?: number; reservedIds?: readonly string[] } = {},
) =>
  openInFolder((folder) => {
    const clock = { nowMs: () => 1_795_222_800_000, monotonicMs: () => 0 };
    const place = { databasePath: join(folder, 'registry.db'), changePollMs: 10 };
    return SqliteDeviceRegistry.open(sqliteDeviceRegistryConfigSchema.parse({ ...place, ...limits }), clock);
  });

async function openStore(limits?: Parameters<typeof openAlone>[0]) {
  const { store: registry, ...others } = await openAlone(limits);
  return { registry, ...others };
}

describeContract(deviceRegistryContract, 'sqlite', async () => ({
  ...(await openStore()),
  tenants: ['north' as TenantId, 'south' as TenantId] as const,
  suffix: randomUUID().slice(0, 8),
}));

describeContract(movableDeviceRegistryContract, 'sqlite', () => twoSites(openAlone, openAlone));

describe('SQLite device registry', () => {
  const tenant = 'north' as TenantId;
  const machines = ['press-7', 'pump-2'].map((id) => machineKey(tenant, 'akron' as SiteId, id as MachineId));

  it('refuses devices and bindings above its bounds', async () => {
    await using opened = await openStore({ maxDevices: 1, maxMachinesPerDevice: 1 });
    const { registry } = opened;
    await expect(registry.addDevice({ id: 'a' as DeviceId, tenant, machines })).rejects.toMatchObject({
      code: 'invalid_argument',
    });
    await registry.addDevice({ id: 'a' as DeviceId, tenant, machines: [] });
    await expect(registry.addDevice({ id: 'b' as DeviceId, tenant, machines: [] })).rejects.toMatchObject({
      code: 'resource_exhausted',
    });
  });

  it.each([
    ['the name of the platform at a broker', {}, 'tribo-gateway'],
    ['that name, where the site says another', { reservedIds: ['historian'] }, 'tribo-gateway'],
    ['the name of what speaks there for all devices', {}, 'tribo-relay'],
    ['one that the site says', { reservedIds: ['historian'] }, 'historian'],
  ])('registers no device by a name that has other rights: %s', async (_what, limits, id) => {
    await using opened = await openStore(limits);
    const { registry } = opened;
    await expect(registry.addDevice({ id: id as DeviceId, tenant, machines })).rejects.toMatchObject({
      code: 'invalid_argument',
      message: expect.stringMatching(`^the device id ${id} is reserved, .* \\(reservedIds of .*\\): choose another$`),
    });
    await registry.addDevice({ id: `${id}-2` as DeviceId, tenant, machines });
    expect((await registry.listDevices(tenant)).map((device) => device.id)).toEqual([`${id}-2`]);
  });

  it('takes over no device by such a name, nor those that come with it', async () => {
    await using from = await openStore();
    await using to = await openStore({ reservedIds: ['pump-2'] });
    for (const id of ['a', 'pump-2']) await from.registry.addDevice({ id: id as DeviceId, tenant, machines });
    const { rows } = await from.registry.movable.exportRows({ limit: 10 });
    await expect(to.registry.movable.importRows({ exportId: 'export-1', name: 'part-1' }, rows)).rejects.toMatchObject({
      code: 'invalid_argument',
      message: expect.stringMatching(
        /^the device id pump-2 is reserved, .*: register it by another where it is moved from$/,
      ),
    });
    expect(await to.registry.listDevices(tenant)).toEqual([]);
  });

  it('keeps no secret in its file', async () => {
    await using opened = await openStore();
    const { device, secret } = await opened.registry.addDevice({ id: 'a' as DeviceId, tenant, machines });
    expect(JSON.stringify(await opened.registry.getDevice(device.id))).not.toContain(secret);
    expect(JSON.stringify(await opened.registry.listDevices(tenant))).not.toContain('hash');
  });
});
