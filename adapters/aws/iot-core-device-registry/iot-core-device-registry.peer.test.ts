import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { systemClock } from '#core/clock.ts';
import { deviceRegistryContract, type DeviceRegistryHarness } from '#core/contracts/device-registry.contract.ts';
import { machineKey, type DeviceId, type MachineId, type SiteId, type TenantId } from '#core/domain/ids.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { makeIotSite } from '#test/peers/moto-iot.ts';
import { Moto } from '#test/peers/moto.ts';
import { openIotRegistry } from './client.ts';
import { iotCoreDeviceRegistryConfigSchema } from './config.ts';
import { IotCoreDeviceRegistry } from './iot-core-device-registry.ts';

let moto: Moto;
let site: Awaited<ReturnType<typeof makeIotSite>>;

beforeAll(async () => {
  moto = await Moto.start();
  site = await makeIotSite(moto, 'eu-central-1');
}, 300_000);

afterAll(async () => {
  site.iot.destroy();
  await moto[Symbol.asyncDispose]();
});

async function makeHarness(): Promise<DeviceRegistryHarness & { registry: IotCoreDeviceRegistry } & AsyncDisposable> {
  const suffix = randomUUID().slice(0, 8);
  const opened: IotCoreDeviceRegistry[] = [];
  const open = async () => {
    const config = iotCoreDeviceRegistryConfigSchema.parse({ ...site.settings, changePollMs: 20 });
    const registry = await IotCoreDeviceRegistry.open(config, systemClock);
    opened.push(registry);
    return registry;
  };
  return {
    registry: await open(),
    tenants: [`acme-${suffix}` as TenantId, `other-${suffix}` as TenantId],
    suffix,
    reopen: open,
    [Symbol.asyncDispose]: async () => {
      for (const each of opened) each.close();
    },
  };
}

describeContract(deviceRegistryContract, 'IoT Core (moto)', makeHarness);

const keyOf = (tenant: TenantId, machine: string) => machineKey(tenant, 'akron' as SiteId, machine as MachineId);

async function certificatesOf(id: DeviceId) {
  const { principals = [] } = await site.iot.listThingPrincipals({ thingName: id });
  return Promise.all(
    principals.map(async (arn) => {
      const { policies = [] } = await site.iot.listAttachedPolicies({ target: arn });
      const { certificateDescription } = await site.iot.describeCertificate({ certificateId: arn.split('/')[1] });
      return { policies: policies.map(({ policyName }) => policyName), status: certificateDescription?.status };
    }),
  );
}

describe('many devices', () => {
  it('are listed in the largest pages that there are, each with a time limit of its own', async () => {
    await using harness = await makeHarness();
    const [tenant] = harness.tenants;
    const ids = Array.from({ length: 251 }, (_, index) => `gauge-${harness.suffix}-${String(index).padStart(3, '0')}`);
    for (const thingName of ids)
      await site.iot.createThing({
        ...{ thingName, thingTypeName: 'tribo-device', attributePayload: { attributes: { tenant } } },
      });
    const config = iotCoreDeviceRegistryConfigSchema.parse(site.settings);
    const iot = await openIotRegistry(config);
    const limits: AbortSignal[] = [];
    const registry = new IotCoreDeviceRegistry(config, {
      iot: {
        ...iot,
        listThings: (query, after, limit) => {
          limits.push(limit);
          return iot.listThings(query, after, limit);
        },
      },
    });
    try {
      expect((await registry.listDevices(tenant)).map(({ id }) => id)).toEqual(ids);
      expect(new Set(limits).size).toBe(2);
    } finally {
      registry.close();
    }
  });
});

describe('a device as a thing', () => {
  it('has one certificate with the policies of the site, which is active while the device is enabled', async () => {
    await using harness = await makeHarness();
    const { registry, tenants, suffix } = harness;
    const id = `gauge-${suffix}` as DeviceId;
    await registry.addDevice({ id, tenant: tenants[0], machines: [] });
    const certificate = { policies: site.settings.policies, status: 'ACTIVE' };
    expect(await certificatesOf(id)).toEqual([certificate]);
    await registry.setEnabled(id, false);
    expect(await certificatesOf(id)).toEqual([{ ...certificate, status: 'INACTIVE' }]);
    await registry.replaceSecret(id);
    expect(await certificatesOf(id)).toEqual([{ ...certificate, status: 'INACTIVE' }]);
    await registry.setEnabled(id, true);
    expect(await certificatesOf(id)).toEqual([certificate]);
  });

  it('leaves no certificate behind when it is removed', async () => {
    await using harness = await makeHarness();
    const { registry, tenants, suffix } = harness;
    const count = async () => (await site.iot.listCertificates({})).certificates?.length;
    const before = await count();
    const id = `gauge-${suffix}` as DeviceId;
    await registry.addDevice({ id, tenant: tenants[0], machines: [] });
    await registry.removeDevice(id);
    expect(await count()).toBe(before);
  });

  it('names each machine in an attribute for the policies, and says where one takes no more', async () => {
    await using harness = await makeHarness();
    const { registry, tenants, suffix } = harness;
    const machines = Array.from({ length: 14 }, (_, index) => keyOf(tenants[0], `press-${index}`));
    const id = `gateway-${suffix}` as DeviceId;
    const { device } = await registry.addDevice({ id, tenant: tenants[0], machines });
    expect(await registry.getDevice(id)).toEqual({ ...device, machines });
    await expect(registry.bindMachines(id, [...machines, keyOf(tenants[0], 'pump')])).rejects.toMatchObject({
      ...{ name: 'PortError', code: 'invalid_argument' },
    });
    await registry.bindMachines(id, machines.slice(5, 6));
    const { attributes } = await site.iot.describeThing({ thingName: id });
    expect(attributes).toMatchObject({ m0: machines[5], m1: '=', m13: '=' });
  });

  it('is a device also where it came by just-in-time provisioning, and is bound to machines then', async () => {
    await using harness = await makeHarness();
    const { registry, tenants, suffix } = harness;
    const id = `bought-${suffix}` as DeviceId;
    const noMachines = Object.fromEntries(Array.from({ length: 14 }, (_, index) => [`m${index}`, '=']));
    const attributes = { tenant: tenants[0], ...noMachines };
    await site.iot.createThing({ thingName: id, thingTypeName: 'tribo-device', attributePayload: { attributes } });
    expect(await registry.listDevices(tenants[0])).toEqual([
      { id, tenant: tenants[0], machines: [], enabled: true, createdAtMs: 0 },
    ]);
    const machines = [keyOf(tenants[0], 'press-7')];
    expect((await registry.bindMachines(id, machines)).machines).toEqual(machines);
  });

  it('is no device where the thing is of another type', async () => {
    await using harness = await makeHarness();
    const { registry, suffix } = harness;
    const id = `shuttle-${suffix}` as DeviceId;
    await site.iot.createThing({ thingName: id });
    expect(await registry.getDevice(id)).toBeUndefined();
    await registry.removeDevice(id);
    expect(await site.iot.describeThing({ thingName: id })).toMatchObject({ thingName: id });
  });

  it('is not added where a policy of the site is not there, and leaves no certificate behind', async () => {
    await using harness = await makeHarness();
    const count = async () => (await site.iot.listCertificates({})).certificates?.length;
    const before = await count();
    const { tenants, suffix } = harness;
    const config = iotCoreDeviceRegistryConfigSchema.parse({ ...site.settings, policies: ['no-such-policy'] });
    const registry = await IotCoreDeviceRegistry.open(config, systemClock);
    const id = `gauge-${suffix}` as DeviceId;
    await expect(registry.addDevice({ id, tenant: tenants[0], machines: [] })).rejects.toMatchObject({
      ...{ name: 'PortError', code: 'failed_precondition' },
    });
    expect(await registry.getDevice(id)).toBeUndefined();
    expect(await count()).toBe(before);
    registry.close();
  });
});
