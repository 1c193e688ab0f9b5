import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from '@jest/globals';
import { mqttDeviceGatewayConfigSchema } from '#adapters/mqtt/mqtt-device-gateway/config.ts';
import { mqttConnection } from '#adapters/mqtt/mqtt-device-gateway/device-connection.ts';
import type { DeviceId } from '#core/domain/ids.ts';
import type { DeviceMessage } from '#core/ports/device-gateway.ts';
import { deviceUsage } from '#services/platform/cli/device-usage.ts';
import { MqttWorld, ACME, PRESS } from '../mqtt-world.ts';

it('a line that tribo device add prints for a broker of the site works as pasted into a shell', async () => {
  await using world = await MqttWorld.open();
  const received = Promise.withResolvers<DeviceMessage>();
  await world.newGateway().start(
    {
      accept: async (message) => {
        received.resolve(message);
        return { accepted: 2, duplicate: 0, rejected: [] };
      },
      isReady: () => true,
      whenReady: async () => undefined,
    },
    { presence: () => undefined },
  );
  const { device, secret } = await world.devices.addDevice({
    ...{ id: 'press-7' as DeviceId, tenant: ACME, machines: [PRESS] },
  });
  const devicesUrl = `mqtts://127.0.0.1:${world.broker.devicePort}`;
  const config = mqttDeviceGatewayConfigSchema.parse({ ...world.broker.gatewaySettings('gateway-1'), devicesUrl });
  const connection = mqttConnection(config)(device, secret, Date.now());
  const [telemetryTopics, commandTopics] = [[...connection.telemetryTopics], [...connection.commandTopics]];
  const printed = deviceUsage(
    {
      device: { id: device.id, machines: [{ site: 'akron', machine: 'press-7' }], enabled: true, createdMs: 0 },
      ...{ secret, topics: telemetryTopics, connection: { ...connection, telemetryTopics, commandTopics } },
    },
    { apiUrl: 'http://127.0.0.1:8080', broker: new URL('mqtt://127.0.0.1:1883'), caFile: undefined },
  );
  const line = printed.split('\n').find((each) => each.includes('mosquitto_pub'))!;
  const cwd = mkdtempSync(join(tmpdir(), 'tribo-device-'));
  try {
    const { cert, key } = world.broker.deviceCertificate('press-7');
    writeFileSync(join(cwd, 'press-7.pem'), cert);
    writeFileSync(join(cwd, 'press-7.key'), key);
    await promisify(execFile)('sh', ['-c', line], { cwd });
  } finally {
    rmSync(cwd, { recursive: true });
  }
  const { sender, machine, content } = await received.promise;
  expect({ sender, machine, kind: content.kind }).toEqual({ sender: 'press-7', machine: PRESS, kind: 'telemetry' });
});
