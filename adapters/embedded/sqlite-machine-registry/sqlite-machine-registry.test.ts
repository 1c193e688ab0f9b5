import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { machineRegistryContract } from '#core/contracts/machine-registry.contract.ts';
import { movableMachineRegistryContract } from '#core/contracts/movable.contract.ts';
import { machineKey, type MachineId, type SiteId, type TenantId } from '#core/domain/ids.ts';
import { machineSchema } from '#core/domain/plant.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { openInFolder } from '#test/support/store-in-folder.ts';
import { twoSites } from '#test/support/two-sites.ts';
import { sqliteMachineRegistryConfigSchema } from './config.ts';
import { SqliteMachineRegistry } from './sqlite-machine-registry.ts';

const tenant = 'north' as TenantId;
const site = 'akron' as SiteId;
const maxQuarantined = 10;

const openAlone = (limits: { maxMachines?: number; quarantineFlushMs?: number } = {}) =>
  openInFolder((folder) => {
    const place = { databasePath: join(folder, 'registry.db'), changePollMs: 10 };
    return SqliteMachineRegistry.open(sqliteMachineRegistryConfigSchema.parse({ ...place, maxQuarantined, ...limits }));
  });

async function openStore(limits?: Parameters<typeof openAlone>[0]) {
  const { store: registry, ...others } = await openAlone(limits);
  return { registry, ...others };
}

describeContract(machineRegistryContract, 'sqlite', async () => ({
  ...(await openStore()),
  tenants: [tenant, 'south' as TenantId] as const,
  maxQuarantined,
}));

describeContract(movableMachineRegistryContract, 'sqlite', () => twoSites(openAlone, openAlone));

const numbered = (count: number) =>
  Array.from({ length: count }, (_unused, index) => machineSchema.parse({ id: `machine-${index}`, class: 'pump' }));

describe('SQLite machine registry', () => {
  it('describes a large plant in few transactions', async () => {
    await using opened = await openStore();
    const startedMs = performance.now();
    await Promise.all(numbered(20_000).map((machine) => opened.registry.putMachine(tenant, site, machine)));
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    expect(await opened.registry.listMachines({ tenant, limit: 30_000 })).toHaveLength(20_000);
  });

  it('refuses machines above its bound, and still replaces those it has', async () => {
    await using opened = await openStore({ maxMachines: 2 });
    const [first, second, third] = numbered(3);
    await opened.registry.putMachine(tenant, site, first!);
    await opened.registry.putMachine(tenant, site, second!);
    await expect(opened.registry.putMachine(tenant, site, third!)).rejects.toMatchObject({
      code: 'resource_exhausted',
    });
    expect((await opened.registry.putMachine(tenant, site, first!)).revision).toBe(2);
  });

  it('reads a machine that was described before a limit was set, as it was kept', async () => {
    await using opened = await openStore();
    const bearing = { id: 'de', elements: 9, elementDiameterMm: 8, pitchDiameterMm: 39, contactAngleDeg: 90 };
    const old = { ...numbered(1)[0]!, bearings: [bearing] };
    expect(machineSchema.safeParse(old).success).toBe(false);
    const { key } = await opened.registry.putMachine(tenant, site, old);
    expect((await opened.registry.getMachine(key))?.machine).toEqual(old);
    expect(await opened.registry.listMachines({ tenant, limit: 10 })).toHaveLength(1);
  });

  it('puts none of the machines that do not all fit', async () => {
    await using opened = await openStore({ maxMachines: 3 });
    const [first, ...others] = numbered(4).map((machine) => ({ machine }));
    await opened.registry.putMachine(tenant, site, first!.machine);
    await expect(opened.registry.putMachines(tenant, site, others)).rejects.toMatchObject({
      code: 'resource_exhausted',
      message: expect.stringContaining('3 more do not fit'),
    });
    expect(await opened.registry.listMachines({ tenant, limit: 10 })).toHaveLength(1);
    expect(await opened.registry.putMachines(tenant, site, others.slice(0, 2))).toHaveLength(2);
  });

  it('lets one refused write of a group fail alone', async () => {
    await using opened = await openStore();
    const [first, second] = numbered(2);
    const results = await Promise.allSettled([
      opened.registry.putMachine(tenant, site, first!, { expectedRevision: 5 }),
      opened.registry.putMachine(tenant, site, second!),
    ]);
    expect(results.map((result) => result.status)).toEqual(['rejected', 'fulfilled']);
  });

  it('writes a flood of sightings together, and what is waiting when it closes', async () => {
    await using opened = await openStore({ quarantineFlushMs: 10_000 });
    const key = machineKey(tenant, site, 'stray' as MachineId);
    for (let i = 0; i < 5000; i++) {
      await opened.registry.quarantine({ key, device: 'gateway', atMs: i, sample: 'x'.repeat(5000) });
    }
    const other = await opened.reopen();
    expect(await other.listQuarantine(tenant)).toEqual([]);
    await opened.registry.close();
    const [stray] = await other.listQuarantine(tenant);
    expect(stray).toMatchObject({ messages: 5000, firstAtMs: 0, atMs: 4999, sample: 'x'.repeat(1024) });
  });
});
