import { expect, it } from '@jest/globals';
import { mqttDeviceGatewayConfigSchema } from '#adapters/mqtt/mqtt-device-gateway/config.ts';
import { mqttConnection } from '#adapters/mqtt/mqtt-device-gateway/device-connection.ts';
import { RecordingIntake } from '#core/contracts/recording-intake.ts';
import type { DeviceId } from '#core/domain/ids.ts';
import { MqttWorld, ACME, PRESS } from '../mqtt-world.ts';
import { pasteDeviceLine } from '../paste-device-line.ts';

it('a line that tribo device add prints for a broker of the site works as pasted into a shell', async () => {
  await using world = await MqttWorld.open();
  const intake = new RecordingIntake();
  await world.newGateway().start(intake, intake);
  const { device, secret } = await world.devices.addDevice({
    ...{ id: 'press-7' as DeviceId, tenant: ACME, machines: [PRESS] },
  });
  const devicesUrl = `mqtts://127.0.0.1:${world.broker.devicePort}`;
  const config = mqttDeviceGatewayConfigSchema.parse({ ...world.broker.gatewaySettings('gateway-1'), devicesUrl });
  const { cert, key } = world.broker.deviceCertificate('press-7');
  const files = { 'press-7.pem': cert, 'press-7.key': key };
  await pasteDeviceLine(device, secret, mqttConnection(config)(device, secret, Date.now()), { files });
  await intake.received(1);
  expect(intake.messages[0]).toMatchObject({
    ...{ sender: 'press-7', machine: PRESS, content: { kind: 'telemetry' } },
  });
});
