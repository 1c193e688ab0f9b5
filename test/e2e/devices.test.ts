import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { MachineKey } from '#core/domain/ids.ts';
import type { SentCommand } from '#services/api-gateway/schemas/commands.ts';
import type { AddedDevice } from '#services/api-gateway/schemas/devices.ts';
import type { MachineDetail } from '#services/api-gateway/schemas/machines.ts';
import { startHttpReceiver, type HttpReceiver } from '#test/support/http-receiver.ts';
import { MqttDevice } from '#test/support/mqtt-device.ts';
import { PlatformProcess, SITE, TENANT, until } from '#test/support/platform-process.ts';

const TIMEOUT_MS = 240_000;

describe.each([
  ['in one process', 'false'],
  ['with --split', 'true'],
])('devices of a platform %s', (_how, split) => {
  let platform: PlatformProcess;
  let webhook: HttpReceiver;
  const posted: DeviceEvent[] = [];
  beforeAll(async () => {
    webhook = await startHttpReceiver((_request, response, body) => {
      const event = JSON.parse(body.toString()) as DeviceEvent;
      // At least once, with a stable id.
      if (!posted.some(({ id }) => id === event.id)) posted.push(event);
      response.writeHead(202).end();
    });
    platform = await PlatformProcess.start({
      env: {
        TRIBO_SPLIT: split,
        TRIBO_WEBHOOK_URL: webhook.url,
        TRIBO_WEBHOOK_SECRET: 'a secret of sixteen characters',
        TRIBO_PRESENCE_SETTLE_MS: '200',
      },
    });
  }, TIMEOUT_MS);
  afterAll(async () => {
    await platform[Symbol.asyncDispose]();
    await webhook[Symbol.asyncDispose]();
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
      expect(wrong.map(({ code }) => code)).toEqual([65, 64, 64]);
    },
    TIMEOUT_MS,
  );

  it(
    'are told of and shown as they come and go, also when they are killed, and when the platform was',
    async () => {
      const login = await addDevice(platform, 'pump-1');
      const types = () => posted.filter(({ subject }) => subject === 'pump-1').map(({ type, data }) => [type, data.by]);
      const told = (count: number) => until(`${count} events came`, async () => types().length >= count);
      const shown = async () => {
        const path = `/v1/machines/pump-1?site=${SITE}`;
        return (await platform.api.request<MachineDetail>('GET', path)).devices;
      };
      const isShown = (online: boolean) =>
        until(`it is shown as ${online ? '' : 'not '}connected`, async () => (await shown())[0]?.online === online);
      const will = { topic: `tribo/v1/${TENANT}/${SITE}/pump-1/status`, payload: '{"online":false}' } as const;
      const connect = () =>
        MqttDevice.connect(platform.mqttPort, { ...login, will: { ...will, qos: 1, retain: true } });

      const first = await connect();
      await told(1);
      await isShown(true);
      const cutMs = Date.now();
      first.cut();
      await told(2);
      await isShown(false);
      expect(await shown()).toMatchObject([{ id: 'pump-1', online: false, by: 'connection' }]);
      expect((await shown())[0]?.sinceMs).toBeGreaterThanOrEqual(cutMs - 1000);

      await connect();
      await told(3);
      await platform.kill();
      await platform.startAgain();
      await told(4);
      await isShown(false);
      const { stdout } = await platform.command('device', 'list', '--json');
      expect(JSON.parse(stdout)).toContainEqual(expect.objectContaining({ id: 'pump-1', online: false }));
      expect(types()).toEqual([
        ['io.tribo.device.online', 'connection'],
        ['io.tribo.device.offline', 'connection'],
        ['io.tribo.device.online', 'connection'],
        ['io.tribo.device.offline', 'restart'],
      ]);
      expect(posted.find(({ subject }) => subject === 'pump-1')).toMatchObject({
        specversion: '1.0',
        source: `/tenants/${TENANT}/devices/pump-1`,
        data: { tenant: TENANT, device: 'pump-1', machines: [{ site: SITE, machine: 'pump-1' }] },
      });
    },
    TIMEOUT_MS,
  );
});

interface DeviceEvent {
  readonly id: string;
  readonly type: string;
  readonly subject: string;
  readonly data: { readonly by: string };
}

/** Made as a person would; with what it connects with. */
async function addDevice(platform: PlatformProcess, machine: string) {
  const { stdout } = await platform.command('device', 'add', machine, '--json');
  return { clientId: machine, username: machine, password: (JSON.parse(stdout) as AddedDevice).secret };
}
