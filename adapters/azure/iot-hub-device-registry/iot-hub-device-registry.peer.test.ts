import { randomUUID } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { deviceRegistryContract, type DeviceRegistryHarness } from '#core/contracts/device-registry.contract.ts';
import { machineKey, type DeviceId, type MachineId, type SiteId, type TenantId } from '#core/domain/ids.ts';
import { exchangesLike, goldenPairs, shapeOf } from '#test/peers/golden-pairs.ts';
import { failure } from '#test/peers/iot-hub-registry.ts';
import { IotHub } from '#test/peers/iot-hub.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { iotHubDeviceRegistryConfigSchema } from './config.ts';
import { IotHubDeviceRegistry } from './iot-hub-device-registry.ts';

type Harness = DeviceRegistryHarness & {
  readonly registry: IotHubDeviceRegistry;
  readonly hub: IotHub;
} & AsyncDisposable;

async function makeHarness(change: { readonly timeoutMs?: number } = {}): Promise<Harness> {
  const hub = await IotHub.start();
  const suffix = randomUUID().slice(0, 8);
  const config = iotHubDeviceRegistryConfigSchema.parse({ ...hub.place, changePollMs: 20, ...change });
  const opened: IotHubDeviceRegistry[] = [];
  const open = async () => {
    const registry = await IotHubDeviceRegistry.open(config, undefined, hub.credential);
    opened.push(registry);
    return registry;
  };
  return {
    ...{ hub, suffix, registry: await open(), reopen: open },
    tenants: [`acme-${suffix}` as TenantId, `other-${suffix}` as TenantId],
    [Symbol.asyncDispose]: async () => {
      for (const each of opened) each.close();
      await hub[Symbol.asyncDispose]();
    },
  };
}

describeContract(deviceRegistryContract, 'IoT Hub (a peer of its REST API)', () => makeHarness());

const keyOf = (tenant: TenantId, machine: string) => machineKey(tenant, 'akron' as SiteId, machine as MachineId);

async function withGauge(change: Parameters<typeof makeHarness>[0] = {}) {
  const harness = await makeHarness(change);
  const [tenant] = harness.tenants;
  const id = 'gauge-1' as DeviceId;
  const { device, secret } = await harness.registry.addDevice({ id, tenant, machines: [keyOf(tenant, 'press-7')] });
  return { ...harness, id, tenant, device, secret };
}

describe('a device as an identity of the hub', () => {
  it('signs in by its secret as the only key of it, before and after a new one', async () => {
    await using harness = await withGauge();
    const { hub, registry, id, secret } = harness;
    const keys = () => hub.registry.devices.get(id)!.authentication.symmetricKey;
    expect(keys()).toEqual({ primaryKey: secret, secondaryKey: secret });
    const replaced = await registry.replaceSecret(id);
    expect(keys()).toEqual({ primaryKey: replaced, secondaryKey: replaced });
  });

  it('is listed as it is though the index of the hub is minutes late, whoever changed it', async () => {
    await using harness = await withGauge();
    const { hub, registry, tenant, device } = harness;
    hub.registry.freezeIndex();
    const add = (id: string) => registry.addDevice({ id: id as DeviceId, tenant, machines: [] });
    const [{ device: second }, { device: third }] = [await add('gauge-2'), await add('gauge-3')];
    await registry.setEnabled(second.id, false);
    await registry.removeDevice(third.id);
    const bound = await registry.bindMachines(device.id, [keyOf(tenant, 'pump-2')]);
    const expected = [bound, { ...second, enabled: false }];
    expect(await registry.listDevices(tenant)).toEqual(expected);
    expect(await (await harness.reopen()).listDevices(tenant)).toEqual(expected);
  });

  it('is listed beside more than the hub gives at a time', async () => {
    await using harness = await withGauge();
    const { hub, registry, tenant, device } = harness;
    const twin = hub.registry.devices.get(device.id)!;
    for (let i = 0; i < 250; i++) hub.registry.devices.set(`x-${i}`, { ...twin, deviceId: `x-${i}` });
    expect(await registry.listDevices(tenant)).toHaveLength(251);
  });

  it('is one also where it came by the provisioning service, with a certificate, which it keeps', async () => {
    await using harness = await withGauge();
    const { hub, registry, tenant, device } = harness;
    const authentication = { type: 'certificateAuthority', symmetricKey: { primaryKey: null, secondaryKey: null } };
    const id = 'bought' as DeviceId;
    const tags = { tribo: { tenant }, floor: 2 };
    hub.registry.devices.set(id, { ...hub.registry.devices.get(device.id)!, deviceId: id, authentication, tags });
    expect(await registry.getDevice(id)).toEqual({ id, tenant, machines: [], enabled: true, createdAtMs: 0 });
    const machines = [keyOf(tenant, 'press-7')];
    await registry.bindMachines(id, machines);
    await registry.setEnabled(id, false);
    expect(await registry.getDevice(id)).toEqual({ id, tenant, machines, enabled: false, createdAtMs: 0 });
    expect(hub.registry.devices.get(id)).toMatchObject({
      authentication: { type: authentication.type },
      tags: { floor: 2 },
    });
    await registry.setEnabled(id, true);
    for (const secret of ['', 'null']) expect(await registry.authenticate(id, secret)).toBeUndefined();
  });

  it('is none where its twin names no tenant, and is left alone', async () => {
    await using harness = await withGauge();
    const { hub, registry, device } = harness;
    const id = 'shuttle' as DeviceId;
    hub.registry.devices.set(id, { ...hub.registry.devices.get(device.id)!, deviceId: id, tags: { floor: 2 } });
    expect(await registry.getDevice(id)).toBeUndefined();
    await registry.removeDevice(id);
    expect(hub.registry.devices.has(id)).toBe(true);
  });

  it('speaks for as many machines as the tags of a twin take, of the longest names, and for no more', async () => {
    await using harness = await withGauge();
    const { registry, tenant, id } = harness;
    const machines = Array.from({ length: 50 }, (_, i) =>
      machineKey(tenant, 's'.repeat(64) as SiteId, `${'m'.repeat(62)}${10 + i}` as MachineId),
    );
    expect((await registry.bindMachines(id, machines)).machines).toEqual(machines);
    const tooMany = [...machines, keyOf(tenant, 'one-more')];
    await expect(registry.bindMachines(id, tooMany)).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  it('is neither changed back nor lost by several who change it at once', async () => {
    await using harness = await withGauge();
    const { registry, id, tenant } = harness;
    const other = await harness.reopen();
    const [secret] = await Promise.all([
      registry.replaceSecret(id),
      other.setEnabled(id, false),
      registry.bindMachines(id, [keyOf(tenant, 'pump-2')]),
    ]);
    expect(await registry.getDevice(id)).toMatchObject({ enabled: false, machines: [keyOf(tenant, 'pump-2')] });
    await registry.setEnabled(id, true);
    expect(await other.authenticate(id, secret)).toBeDefined();
  });

  it('is not authenticated by guess where the role of this process sees no keys', async () => {
    await using harness = await withGauge();
    harness.hub.registry.hidesKeys = true;
    await expect(harness.registry.authenticate(harness.id, harness.secret)).rejects.toMatchObject({
      code: 'permission_denied',
    });
  });

  it('has no name that the registry needs itself', async () => {
    await using harness = await makeHarness();
    const taken = { id: 'tribo-changes' as DeviceId, tenant: harness.tenants[0], machines: [] };
    await expect(harness.registry.addDevice(taken)).rejects.toMatchObject({ code: 'invalid_argument' });
  });
});

describe('the peer of the registry', () => {
  it.each(goldenPairs('iot-hub'))('asks and answers as Azure documents: $example', async (pair) => {
    await using harness = await withGauge();
    const { hub, registry, id, tenant, secret } = harness;
    await registry.authenticate(id, secret);
    await registry.bindMachines(id, [keyOf(tenant, 'pump-2')]);
    await registry.removeDevice(id);
    await registry.getDevice(id);
    const [exchange] = exchangesLike(pair, hub.rest.exchanges);
    if (pair.request.body) expect(exchange?.request.body).toMatch(/^\{"tags":/);
    expect(shapeOf(exchange?.answer.body, ['tags'])).toMatchObject(shapeOf(pair.answer, ['tags']) as object);
  });
});

describe('an answer of the hub', () => {
  it.each([
    [400, 'ArgumentInvalid', 'invalid_argument'],
    [401, 'IotHubUnauthorizedAccess', 'permission_denied'],
    [403, 'IotHubFormatError', 'permission_denied'],
    [403, 'TooManyDevices', 'resource_exhausted'],
    [403, 'IotHubQuotaExceeded', 'resource_exhausted'],
    [404, 'IotHubNotFound', 'failed_precondition'],
    [429, 'ThrottlingException', 'resource_exhausted'],
    [500, 'ServerError', 'unavailable'],
    [503, 'ServiceUnavailable', 'unavailable'],
    [504, 'GatewayTimeout', 'unavailable'],
  ] as const)('%d %s is %s, asked for once, and never that there is no device', async (status, code, expected) => {
    await using harness = await withGauge();
    const { hub, registry, id, tenant } = harness;
    await new Promise((resolve) => setImmediate(resolve));
    const before = hub.rest.exchanges.length;
    hub.rest.disturbance = failure(status, code, 'as the hub says');
    await expect(registry.getDevice(id)).rejects.toMatchObject({ name: 'PortError', code: expected });
    expect(hub.rest.exchanges).toHaveLength(before + 1);
    const added = registry.addDevice({ id: 'gauge-9' as DeviceId, tenant, machines: [] });
    await expect(added).rejects.toMatchObject({ name: 'PortError', code: expected });
  });

  it('that does not come is waited for no longer than told, and a hub that is away is unavailable', async () => {
    await using harness = await withGauge({ timeoutMs: 300 });
    const { hub, registry, id } = harness;
    hub.rest.disturbance = 'hanging';
    await expect(registry.getDevice(id)).rejects.toMatchObject({ code: 'deadline_exceeded' });
    await hub[Symbol.asyncDispose]();
    await expect(registry.getDevice(id)).rejects.toMatchObject({ code: 'unavailable' });
  });
});
