import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { until } from '#core/contracts/until.ts';
import { machineRef } from '#core/domain/ids.ts';
import { startWorld } from '../gateway-over-log.ts';
import { DEVICE_STREAM } from '../iot-core-site.ts';
import { IotCoreWorlds } from '../iot-core-world.ts';

const run = promisify(execFile);
const FUNCTIONS = join(import.meta.dirname, '../../../services/functions');
/** As Lambda does: imports the module, and writes what its handler answers. */
const CALL = `
  const { handler } = await import(process.argv[1]);
  const answers = [];
  for (const event of JSON.parse(process.argv[2]))
    answers.push(await handler(event).catch(({ name, code, message }) => ({ name, code, message })));
  console.log(JSON.stringify(answers));`;

let worlds: IotCoreWorlds;
let folder: string;

beforeAll(async () => {
  worlds = await IotCoreWorlds.start();
  folder = mkdtempSync(join(tmpdir(), 'tribo-function-'));
  await run(process.execPath, [join(FUNCTIONS, 'build.js')]);
  await run('python3', ['-m', 'zipfile', '-e', join(FUNCTIONS, 'dist/sensor-data-processor.zip'), folder]);
}, 300_000);

afterAll(async () => {
  rmSync(folder, { recursive: true });
  await worlds[Symbol.asyncDispose]();
});

/** A world, and the bundle called in it with events, one after another, as a process that has nothing but the bundle. */
async function openWorld() {
  const world = await startWorld(await worlds.open());
  const { tenant, site } = machineRef(world.machine);
  const call = async (events: readonly unknown[], stream = DEVICE_STREAM): Promise<unknown> => {
    const { stdout } = await run(
      process.execPath,
      ['--input-type=module', '-e', CALL, join(folder, 'index.mjs'), JSON.stringify(events)],
      {
        cwd: folder,
        env: {
          ...{ AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', AWS_REGION: world.config.region },
          AWS_ENDPOINT_URL_KINESIS: world.config.endpoint!,
          ...{ TRIBO_DEVICE_STREAM: stream, TRIBO_TENANT: tenant, TRIBO_SITE: site },
        },
      },
    );
    return JSON.parse(stdout) as unknown;
  };
  return { ...world, call };
}

const notified = (message: object) => ({
  Records: [{ EventSource: 'aws:sns', Sns: { Type: 'Notification', Message: JSON.stringify(message) } }],
});
const reading = { device_id: 'press-7', timestamp: 1795222800000, sensor_data: { current_mean: 4.2 } };

describe('the bundle of sensor-data-processor', () => {
  it('is one file, which needs nothing beside it', () => {
    expect(readdirSync(folder)).toEqual(['index.mjs']);
  });

  it('answers exactly, and what was published to the topic comes to intake as the device’s', async () => {
    await using world = await openWorld();
    const { addDevice, tenants, machine, intake, call } = world;
    await addDevice('press-7', tenants[0], [machine]);
    await expect(call([notified(reading)])).resolves.toEqual([{ statusCode: 200, body: 'Processed successfully' }]);
    await until(() => intake.messages.length === 1);
    expect(intake.messages[0]).toMatchObject({ machine, sender: 'press-7', content: { kind: 'telemetry' } });
    expect(JSON.parse(intake.payloads()[0]!)).toEqual({ ts: 1795222800000, metrics: { current_mean: 4.2 } });
  });

  it('comes again byte for byte where it is called again, so that intake knows it', async () => {
    await using world = await openWorld();
    const { addDevice, tenants, machine, intake, call } = world;
    await addDevice('press-7', tenants[0], [machine]);
    await call([notified(reading), notified(reading)]);
    await until(() => intake.messages.length === 2);
    const [first, second] = intake.payloads();
    expect(second).toBe(first);
  });

  it('of a device that the site does not have is refused by the gateway, and holds nobody up', async () => {
    await using world = await openWorld();
    const { addDevice, tenants, machine, intake, refusals, call } = world;
    await addDevice('press-7', tenants[0], [machine]);
    await call([notified({ ...reading, device_id: 'a-stranger' }), notified(reading)]);
    await until(() => intake.messages.length === 1 && refusals.length === 1);
    expect(refusals).toEqual(['bad-credentials']);
  });

  it('fails with the cause where there is no stream, and goes on with the next call', async () => {
    await using world = await openWorld();
    const answers = await world.call([notified(reading), {}], 'no-such-stream');
    expect(answers).toEqual([
      { name: 'PortError', code: 'not_found', message: expect.stringContaining('put readings into no-such-stream') },
      { name: 'PortError', code: 'invalid_argument', message: expect.stringContaining('no notification of SNS') },
    ]);
  });
});
