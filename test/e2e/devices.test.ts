import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { MachineKey } from '#core/domain/ids.ts';
import type { SentCommand } from '#services/api-gateway/schemas/commands.ts';
import type { AddedDevice } from '#services/api-gateway/schemas/devices.ts';
import { MqttDevice } from '#test/support/mqtt-device.ts';
import { PlatformProcess, SITE, TENANT, until } from '#test/support/platform-process.ts';

const TIMEOUT_MS = 240_000;

describe.each([
  ['in one process', 'false'],
  ['with --split', 'true'],
])('devices of a platform %s', (_how, split) => {
  let platform: PlatformProcess;
  beforeAll(async () => {
    platform = await PlatformProcess.start({ env: { TRIBO_SPLIT: split } });
  }, TIMEOUT_MS);
  afterAll(async () => {
    await platform[Symbol.asyncDispose]();
  });

  it(
    'get the commands that people send them, also those that were sent while they were away',
    async () => {
      const login = await addDevice(platform, 'press-7');
      const send = async (...given: string[]) => platform.command('device', 'command', 'press-7', ...given, '--json');
      const away = await send('{"action":"restart"}');
      const mqtt = await MqttDevice.connect(platform.mqttPort, login);
      const received: unknown[] = [];
      const listen = (payload: Uint8Array) => received.push(JSON.parse(Buffer.from(payload).toString()));
      await mqtt.onCommand(`${TENANT}/${SITE}/press-7` as MachineKey, listen);
      await until('the command that waited came', async () => received.length === 1);
      const here = await send('{"action":"stop"}', '--machine', 'press-7', '--expires-in', '60');
      await until('the other command came', async () => received.length === 2);
      await mqtt.disconnect();
      expect(received).toMatchObject([
        { id: (JSON.parse(away.stdout) as SentCommand).id, command: { action: 'restart' } },
        { id: (JSON.parse(here.stdout) as SentCommand).id, command: { action: 'stop' } },
      ]);
      const wrong = [await send('stop'), await send('{}', '--machine', 'other'), await send('{}', '--expires-in', 'x')];
      expect(wrong.map(({ code }) => code)).toEqual([65, 64, 65]);
    },
    TIMEOUT_MS,
  );
});

/** Made as a person would; with what it connects with. */
async function addDevice(platform: PlatformProcess, machine: string) {
  const { stdout } = await platform.command('device', 'add', machine, '--json');
  return { clientId: machine, username: machine, password: (JSON.parse(stdout) as AddedDevice).secret };
}
