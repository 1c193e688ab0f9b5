import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { IoT } from '@aws-sdk/client-iot';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { until } from '#core/contracts/until.ts';
import { environmentSchema } from '#core/decision/environment.ts';
import type { DeviceId } from '#core/domain/ids.ts';
import { deviceTopic } from '#core/ingestion/topics.ts';
import { commandsOf } from '#test/peers/commands-of-pages.ts';
import { startWorld as startIn } from '#test/peers/gateway-over-log.ts';
import { IotCoreWorlds } from '#test/peers/iot-core-world.ts';
import {
  certificateAuthority,
  issuedCertificate,
  type TestCertificate,
} from '#test/support/self-signed-certificate.ts';

const ID = 'bought-1' as DeviceId;
let worlds: IotCoreWorlds;

beforeAll(async () => {
  worlds = await IotCoreWorlds.start();
}, 300_000);

afterAll(() => worlds[Symbol.asyncDispose]());

/** As `shut_out` of docs/deployment.md does. */
async function shutOut(iot: IoT, thingName: string): Promise<void> {
  const { principals = [] } = await iot.listThingPrincipals({ thingName });
  for (const principal of principals) {
    await iot.updateCertificate({ certificateId: principal.split('/').at(-1), newStatus: 'INACTIVE' });
    const { policies = [] } = await iot.listAttachedPolicies({ target: principal });
    for (const { policyName } of policies) await iot.detachPolicy({ policyName, target: principal });
    await iot.detachThingPrincipal({ thingName, principal });
  }
  await iot.deleteThing({ thingName });
}

/** A site with an authority of its first tenant's devices, and a device of that. */
async function startWorld() {
  const world = await startIn(await worlds.open());
  const authority = certificateAuthority();
  world.registerAuthority(authority.cert, world.tenants[0]);
  const issued = (commonName: string = ID, by: TestCertificate = authority) => {
    const { cert, key } = issuedCertificate(by, { commonName });
    return cert + key;
  };
  /** Comes for the first time, and is turned away. */
  const come = async (secret: string, id: string = ID) => {
    await expect(world.connect(id, secret)).rejects.toThrow();
  };
  return { ...world, issued, come };
}

type World = Awaited<ReturnType<typeof startWorld>>;

describe('a device with a certificate of the authority of a tenant', () => {
  it('is turned away once, is a device of that tenant at once, and is heard as soon as it is bound', async () => {
    await using world = await startWorld();
    const { devices, intake, machine, tenants, refusals, core } = world;
    const telemetry = deviceTopic({ kind: 'telemetry', machine });
    const secret = world.issued();
    // Who is nobody yet, and was asked for in vain.
    await core.fail(ID, telemetry, Buffer.from('early'));
    await until(() => refusals.length === 1);
    await world.come(secret);
    const came = { id: ID, tenant: tenants[0], machines: [], enabled: true, createdAtMs: 0 };
    expect(await devices.getDevice(ID)).toEqual(came);
    expect(await devices.listDevices(tenants[0])).toContainEqual(came);
    const unbound = await world.connect(ID, secret);
    await expect(unbound.publishTo(telemetry, 'unbound')).rejects.toThrow('not authorized');
    await devices.bindMachines(ID, [machine]);
    const device = await world.connect(ID, secret);
    await device.publishTo(telemetry, '1');
    await until(() => intake.messages.length === 1);
    expect(intake.messages[0]).toMatchObject({ machine, sender: ID });
    expect(intake.payloads()).toEqual(['1']);
  });

  it('may have it by the commands of docs/deployment.md, which write what the environment has to say', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tribo-authority-'));
    try {
      await using world = await startWorld();
      const tenant = world.tenants[0];
      const commands = commandsOf('docs/deployment.md', 'device-authority.key')
        .replaceAll('<site>', 'akron')
        .replaceAll('<tenant>', tenant);
      const said = execFileSync('bash', ['-euo', 'pipefail', '-c', commands], {
        cwd: folder,
        stdio: 'pipe',
      }).toString();
      expect(said).toContain('press-8.pem: OK');
      const read = (name: string) => readFileSync(join(folder, 'device-certificates', name), 'utf8');
      const { devices } = environmentSchema.pick({ devices: true }).parse(parse(read('devices.yaml')));
      expect(devices).toEqual({ authorities: [{ tenant, certificate: read('device-authority.pem') }] });
      world.registerAuthority(devices!.authorities[0]!.certificate, tenant);
      const secret = read('press-8.pem') + read('press-8.key');
      await world.come(secret, 'press-8');
      await world.connect('press-8', secret);
      expect(await world.devices.getDevice('press-8' as DeviceId)).toMatchObject({ tenant });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('comes with a new one after it was removed, and is bound anew', async () => {
    await using world = await startWorld();
    const { devices, machine } = world;
    await world.come(world.issued());
    await devices.bindMachines(ID, [machine]);
    await devices.removeDevice(ID);
    const renewed = world.issued();
    await world.come(renewed);
    expect(await devices.getDevice(ID)).toMatchObject({ machines: [] });
    await world.connect(ID, renewed);
  });

  it('comes in vain with a new one that it showed before it was removed, until that one is deleted at IoT Core', async () => {
    await using world = await startWorld();
    const { devices, iot } = world;
    const renewed = world.issued();
    await world.come(world.issued());
    await world.come(renewed);
    await devices.removeDevice(ID);
    for (let attempt = 1; attempt <= 3; attempt++) await world.come(renewed);
    expect(await devices.getDevice(ID)).toBeUndefined();
    const { certificates = [] } = await iot.listCertificates({});
    const shownEarly = certificates.filter(({ status }) => status === 'PENDING_ACTIVATION');
    expect(shownEarly).toHaveLength(1);
    const { certificateId } = shownEarly[0]!;
    await iot.updateCertificate({ certificateId, newStatus: 'INACTIVE' });
    await iot.deleteCertificate({ certificateId, forceDelete: true });
    await world.come(renewed);
    expect(await devices.getDevice(ID)).toMatchObject({ machines: [] });
    await world.connect(ID, renewed);
  });

  it('is none where the common name is no id, and may connect until it is shut out by hand', async () => {
    await using world = await startWorld();
    const { devices, tenants, iot, thingType: thingTypeName } = world;
    const name = 'bought:1';
    const secret = world.issued(name);
    await world.come(secret, name);
    expect((await devices.listDevices(tenants[0])).map(({ id }) => id)).toEqual(['gauge-1']);
    await world.connect(name, secret);
    const namesOfType = async () => (await iot.listThings({ thingTypeName })).things!.map(({ thingName }) => thingName);
    expect(await namesOfType()).toContain(name);
    await shutOut(iot, name);
    expect(await namesOfType()).not.toContain(name);
    for (let attempt = 1; attempt <= 3; attempt++) await world.come(secret, name);
    expect(await namesOfType()).not.toContain(name);
  });
});

describe('a certificate lets nobody in', () => {
  it.each<[string, (world: World) => Promise<readonly [secret: string, id: string]>]>([
    ['of an authority that is not registered', async ({ issued }) => [issued(ID, certificateAuthority()), ID]],
    [
      'of the authority of one tenant for a device of another',
      async ({ issued, addDevice, tenants, machines }) => {
        await addDevice('gauge-2', tenants[2], [machines[2]]);
        return [issued('gauge-2'), 'gauge-2'];
      },
    ],
    ['for a device of the tenant that has one already', async ({ issued }) => [issued('gauge-1'), 'gauge-1']],
    [
      'that is new, for a device that is disabled',
      async ({ issued, come, devices }) => {
        await come(issued());
        await devices.setEnabled(ID, false);
        return [issued(), ID];
      },
    ],
    [
      'of a device that is disabled',
      async ({ issued, come, devices }) => {
        const secret = issued();
        await come(secret);
        await devices.setEnabled(ID, false);
        return [secret, ID];
      },
    ],
    [
      'of a device that has a new secret',
      async ({ issued, come, devices, connect }) => {
        const secret = issued();
        await come(secret);
        await connect(ID, await devices.replaceSecret(ID));
        return [secret, ID];
      },
    ],
    [
      'of a device that was removed',
      async ({ issued, come, devices }) => {
        const secret = issued();
        await come(secret);
        await devices.removeDevice(ID);
        return [secret, ID];
      },
    ],
  ])('%s, however often it is shown, and changes no device', async (_what, prepare) => {
    await using world = await startWorld();
    const [secret, id] = await prepare(world);
    const before = await world.devices.getDevice(id as DeviceId);
    for (let attempt = 1; attempt <= 3; attempt++) await expect(world.connect(id, secret)).rejects.toThrow();
    expect(await world.devices.getDevice(id as DeviceId)).toEqual(before);
  });
});
