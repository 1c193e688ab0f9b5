import assert from 'node:assert/strict';
import { machineKey, parseName, type DeviceId, type MachineId, type SiteId, type TenantId } from '../domain/ids.ts';
import type { DeviceRegistry, NewDevice } from '../ports/device-registry.ts';
import type { Contract } from './contract.ts';
import { failsWith } from './fails-with.ts';
import { until } from './until.ts';

export interface DeviceRegistryHarness {
  readonly registry: DeviceRegistry;
  /** Two tenants of this case alone, and a suffix that makes its device ids unique. */
  readonly tenants: readonly [TenantId, TenantId];
  readonly suffix: string;
  /** Another client of the same registry, as another process would open it. */
  reopen(): Promise<DeviceRegistry>;
}

const site = parseName<SiteId>('site', 'akron');
const machine = (tenant: TenantId, name: string) => machineKey(tenant, site, parseName<MachineId>('machine', name));

function newDevice({ tenants, suffix }: DeviceRegistryHarness, name: string, tenant = tenants[0]): NewDevice {
  return { id: parseName<DeviceId>('device', `${name}-${suffix}`), tenant, machines: [machine(tenant, 'press-7')] };
}

export const deviceRegistryContract: Contract<DeviceRegistryHarness> = {
  port: 'device-registry',
  cases: [
    {
      name: 'authenticates a device by the secret it was given, and nothing else',
      async run(harness) {
        const { device, secret } = await harness.registry.addDevice(newDevice(harness, 'gateway'));
        assert.deepEqual(await harness.registry.authenticate(device.id, secret), device);
        for (const wrong of ['', 'wrong', `${secret}x`, secret.slice(1), secret.toUpperCase() + secret]) {
          assert.equal(await harness.registry.authenticate(device.id, wrong), undefined);
        }
        assert.equal(await harness.registry.authenticate(`no-${device.id}`, secret), undefined);
        assert.equal(await harness.registry.authenticate('not a name / at all', secret), undefined);
      },
    },
    {
      name: 'gives every device a secret of its own with at least 128 bits',
      async run(harness) {
        const one = await harness.registry.addDevice(newDevice(harness, 'one'));
        const other = await harness.registry.addDevice(newDevice(harness, 'other'));
        assert.notEqual(one.secret, other.secret);
        assert.ok(one.secret.length >= 22, `a secret of ${one.secret.length} characters`);
        assert.equal(await harness.registry.authenticate(one.device.id, other.secret), undefined);
      },
    },
    {
      name: 'refuses a second device of the same id, also for another tenant, and keeps the first',
      async run(harness) {
        const { device, secret } = await harness.registry.addDevice(newDevice(harness, 'gateway'));
        for (const tenant of harness.tenants) {
          await assert.rejects(
            harness.registry.addDevice(newDevice(harness, 'gateway', tenant)),
            failsWith('already_exists'),
          );
        }
        assert.deepEqual(await harness.registry.authenticate(device.id, secret), device);
      },
    },
    {
      name: 'refuses to bind a device to a machine of another tenant',
      async run(harness) {
        const [own, foreign] = harness.tenants;
        const stolen = { ...newDevice(harness, 'thief'), machines: [machine(foreign, 'press-7')] };
        await assert.rejects(harness.registry.addDevice(stolen), failsWith('invalid_argument'));
        const { device } = await harness.registry.addDevice(newDevice(harness, 'gateway', own));
        await assert.rejects(
          harness.registry.bindMachines(device.id, [machine(foreign, 'press-7')]),
          failsWith('invalid_argument'),
        );
        assert.deepEqual(await harness.registry.getDevice(device.id), device);
      },
    },
    {
      name: 'binds a gateway to several machines',
      async run(harness) {
        const { device, secret } = await harness.registry.addDevice(newDevice(harness, 'gateway'));
        const machines = [machine(device.tenant, 'press-7'), machine(device.tenant, 'pump-2')];
        const bound = await harness.registry.bindMachines(device.id, machines);
        assert.deepEqual([...bound.machines].sort(), [...machines].sort());
        assert.deepEqual(await harness.registry.authenticate(device.id, secret), bound);
      },
    },
    {
      name: 'replaces a secret: the new one authenticates, the former does not, and the rest of the device stays',
      async run(harness) {
        const { device, secret } = await harness.registry.addDevice(newDevice(harness, 'gateway'));
        const replaced = await harness.registry.replaceSecret(device.id);
        assert.notEqual(replaced, secret);
        assert.equal(await harness.registry.authenticate(device.id, secret), undefined);
        assert.deepEqual(await harness.registry.authenticate(device.id, replaced), device);
      },
    },
    {
      name: 'does not authenticate a disabled device, and does again when it is enabled',
      async run(harness) {
        const { device, secret } = await harness.registry.addDevice(newDevice(harness, 'gateway'));
        await harness.registry.setEnabled(device.id, false);
        assert.equal(await harness.registry.authenticate(device.id, secret), undefined);
        assert.equal((await harness.registry.getDevice(device.id))?.enabled, false);
        await harness.registry.setEnabled(device.id, true);
        assert.deepEqual(await harness.registry.authenticate(device.id, secret), device);
      },
    },
    {
      name: 'forgets a removed device; removing it again does no harm',
      async run(harness) {
        const { device, secret } = await harness.registry.addDevice(newDevice(harness, 'gateway'));
        await harness.registry.removeDevice(device.id);
        await harness.registry.removeDevice(device.id);
        assert.equal(await harness.registry.getDevice(device.id), undefined);
        assert.equal(await harness.registry.authenticate(device.id, secret), undefined);
      },
    },
    {
      name: 'fails with not_found where a device to change is not there',
      async run(harness) {
        const { id, machines } = newDevice(harness, 'nobody');
        assert.equal(await harness.registry.getDevice(id), undefined);
        await assert.rejects(harness.registry.bindMachines(id, machines), failsWith('not_found'));
        await assert.rejects(harness.registry.setEnabled(id, false), failsWith('not_found'));
        await assert.rejects(harness.registry.replaceSecret(id), failsWith('not_found'));
      },
    },
    {
      name: 'lists the devices of one tenant alone',
      async run(harness) {
        const [own, other] = harness.tenants;
        const { device } = await harness.registry.addDevice(newDevice(harness, 'mine', own));
        await harness.registry.addDevice(newDevice(harness, 'theirs', other));
        assert.deepEqual([...(await harness.registry.listDevices(own))], [device]);
      },
    },
    {
      name: 'keeps devices and their secrets over a reopen',
      async run(harness) {
        const { device, secret } = await harness.registry.addDevice(newDevice(harness, 'gateway'));
        const reopened = await harness.reopen();
        assert.deepEqual(await reopened.authenticate(device.id, secret), device);
      },
    },
    {
      name: 'tells listeners of changes, also those another client made, until they stop listening',
      async run(harness) {
        let calls = 0;
        const stop = harness.registry.onChange(() => calls++);
        await harness.registry.addDevice(newDevice(harness, 'mine'));
        await until(() => calls > 0, 'a change of its own');
        calls = 0;
        const other = await harness.reopen();
        await other.addDevice(newDevice(harness, 'theirs'));
        await until(() => calls > 0, 'a change of another client');
        stop();
        calls = 0;
        await harness.registry.addDevice(newDevice(harness, 'third'));
        assert.equal(calls, 0);
      },
    },
    {
      name: 'rejects a call whose caller has stopped waiting',
      async run(harness) {
        const signal = AbortSignal.abort();
        await assert.rejects(
          harness.registry.addDevice(newDevice(harness, 'late'), { signal }),
          failsWith('cancelled'),
        );
        await assert.rejects(harness.registry.listDevices(harness.tenants[0], { signal }), failsWith('cancelled'));
      },
    },
  ],
};
