import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { until } from '#core/contracts/until.ts';
import { machineRef } from '#core/domain/ids.ts';
import { AzureFunctions } from '../azure-functions.ts';
import { startWorld } from '../gateway-over-log.ts';
import { IotHubWorlds } from '../iot-hub-world.ts';

const run = promisify(execFile);
const FUNCTIONS = join(import.meta.dirname, '../../../services/functions');
const NAME = 'sensor-data-processor';

let worlds: IotHubWorlds;
let folder: string;

beforeAll(async () => {
  worlds = await IotHubWorlds.start();
  folder = mkdtempSync(join(tmpdir(), 'tribo-function-'));
  await run(process.execPath, [join(FUNCTIONS, 'build.js')]);
  await run('python3', ['-m', 'zipfile', '-e', join(FUNCTIONS, 'dist/sensor-data-processor-azure.zip'), folder]);
}, 300_000);

afterAll(async () => {
  rmSync(folder, { recursive: true });
  await worlds[Symbol.asyncDispose]();
});

/** A world, and the package called in it, as a process that has nothing but that. */
async function openWorld(settings: Readonly<Record<string, string>> = {}) {
  const world = await startWorld(await worlds.open());
  const { tenant, site } = machineRef(world.machine);
  const runtime = await AzureFunctions.start(folder, {
    ...{ TRIBO_DEVICE_NAMESPACE_PEER: world.config.hubsEmulatorConnectionString!, TRIBO_DEVICE_HUB: world.eventHub },
    ...{ TRIBO_TENANT: tenant, TRIBO_SITE: site },
    ...settings,
  });
  return {
    ...world,
    runtime,
    call: (text: string) => runtime.call(NAME, text),
    async [Symbol.asyncDispose]() {
      await runtime[Symbol.asyncDispose]();
      await world[Symbol.asyncDispose]();
    },
  };
}

const reading = { device_id: 'press-7', timestamp: 1795222800000, sensor_data: { current_mean: 4.2 } };
const text = JSON.stringify(reading);

describe('the package of sensor-data-processor', () => {
  it('is one file of code and what the runtime asks for, and needs nothing beside it', () => {
    expect(readdirSync(folder).toSorted()).toEqual(['host.json', 'index.js', 'package.json']);
    expect(JSON.parse(readFileSync(join(folder, 'host.json'), 'utf8'))).toMatchObject({
      ...{ version: '2.0', extensions: { serviceBus: { autoCompleteMessages: true } } },
    });
  });

  it('is called with each message of the queue that its settings name, by an identity, one at a time', async () => {
    await using world = await openWorld();
    const [registered, ...others] = world.runtime.functions;
    expect(others).toEqual([]);
    expect(registered!.name).toBe(NAME);
    expect(Object.values(registered!.bindings)).toEqual([
      expect.objectContaining({
        ...{ type: 'serviceBusTrigger', direction: 'in', cardinality: 'one' },
        ...{ connection: 'TRIBO_QUEUE', queueName: '%TRIBO_QUEUE_NAME%' },
      }),
    ]);
  });

  it('hands a reading to intake as the device’s, and takes its message from the queue', async () => {
    await using world = await openWorld();
    const { addDevice, tenants, machine, intake, call } = world;
    await addDevice('press-7', tenants[0], [machine]);
    await expect(call(text)).resolves.toBe('completed');
    await until(() => intake.messages.length === 1);
    expect(intake.messages[0]).toMatchObject({ machine, sender: 'press-7', content: { kind: 'telemetry' } });
    expect(JSON.parse(intake.payloads()[0]!)).toEqual({ ts: 1795222800000, metrics: { current_mean: 4.2 } });
  });

  it('hands it on again byte for byte where it is called again, so that intake knows it', async () => {
    await using world = await openWorld();
    const { addDevice, tenants, machine, intake, call } = world;
    await addDevice('press-7', tenants[0], [machine]);
    await call(text);
    await call(text);
    await until(() => intake.messages.length === 2);
    const [first, second] = intake.payloads();
    expect(second).toBe(first);
  });

  it('keeps what is of a device in one partition, in the order of the calls', async () => {
    await using world = await openWorld();
    const { addDevice, tenants, machine, intake, call, eventHub } = world;
    await addDevice('press-7', tenants[0], [machine]);
    const times = [1, 2, 3, 4, 5];
    for (const time of times) await call(JSON.stringify({ ...reading, timestamp: time }));
    await until(() => intake.messages.length === times.length);
    expect(intake.payloads().map((payload) => (JSON.parse(payload) as { ts: number }).ts)).toEqual(times);
    const partitions = [0, 1].map((partition) => worlds.site.hubs.eventsOf(eventHub, partition));
    expect(partitions.toSorted()).toEqual([0, times.length]);
  });

  it('of a device that the site does not have is refused by the gateway, and holds nobody up', async () => {
    await using world = await openWorld();
    const { addDevice, tenants, machine, intake, refusals, call } = world;
    await addDevice('press-7', tenants[0], [machine]);
    await call(JSON.stringify({ ...reading, device_id: 'a-stranger' }));
    await call(text);
    await until(() => intake.messages.length === 1 && refusals.length === 1);
    expect(refusals).toEqual(['bad-credentials']);
  });

  it('gives back at once what names no device, and goes on with the next', async () => {
    await using world = await openWorld();
    const { addDevice, tenants, machine, intake, call } = world;
    await addDevice('press-7', tenants[0], [machine]);
    for (const none of ['temperature=61', '{}', ''])
      await expect(call(none)).resolves.toMatchObject({
        ...{ name: 'PortError', code: 'invalid_argument' },
        message: expect.stringContaining('a message must be JSON with a device_id'),
      });
    await expect(call(text)).resolves.toBe('completed');
    await until(() => intake.messages.length === 1);
  });

  it('tries again where the event hub refuses for a while, and its message is completed once it is there', async () => {
    await using world = await openWorld();
    const { addDevice, tenants, machine, intake, call, eventHub } = world;
    await addDevice('press-7', tenants[0], [machine]);
    let refused = 0;
    worlds.site.hubs.sendFault = (hub) =>
      hub === eventHub && refused++ < 2 ? { refuse: 'com.microsoft:server-busy' } : undefined;
    try {
      await expect(call(text)).resolves.toBe('completed');
    } finally {
      worlds.site.hubs.sendFault = undefined;
    }
    await until(() => intake.messages.length === 1);
    expect(refused).toBe(3);
  });

  it('gives it back with the cause where there is no such event hub', async () => {
    await using world = await openWorld({ TRIBO_DEVICE_HUB: 'no-such-hub' });
    await expect(world.call(text)).resolves.toMatchObject({
      ...{ name: 'PortError', code: 'not_found' },
      message: expect.stringContaining('publish to the partition of press-7 of no-such-hub'),
    });
  });

  it('gives back all, naming what is wrong, where it is not set up', async () => {
    await using world = await openWorld({ TRIBO_TENANT: 'acme/1', TRIBO_DEVICE_NAMESPACE_PEER: 'sb://elsewhere' });
    await expect(world.call(text)).resolves.toMatchObject({
      ...{ name: 'PortError', code: 'failed_precondition' },
      message: expect.stringMatching(
        /^the function's environment: TRIBO_DEVICE_NAMESPACE_PEER: .*; TRIBO_TENANT: must be/,
      ),
    });
  });
});
