import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { IotHubDevice } from '../iot-hub-device.ts';
import type { IotHub } from '../iot-hub.ts';
import type { SiteGateway } from './site.ts';

/** Devices at IoT Hub, by the topics and tokens that the platform told them. Its name is known to nobody: they connect to where it is. */
export function iotHubGateway({ host, devices: { listener } }: IotHub): SiteGateway {
  return {
    connect: async ({ device, connection }) => {
      const { url, clientId, username, password } = connection ?? {};
      if (url !== `mqtts://${host}:${listener.port}` || username === undefined || password === undefined)
        throw new Error(`the platform told ${device} to connect to ${url}, as ${username}`);
      return IotHubDevice.connect(listener, clientId!, { username, password });
    },
    waveformTopic: (telemetryTopic, sensor) =>
      `${telemetryTopic.replace('kind=telemetry', 'kind=waveform')}&sensor=${sensor}`,
    simulator: ({ secret }, folder) => {
      const authorityFile = join(folder, 'iot-hub-ca.pem');
      writeFileSync(authorityFile, listener.ca);
      const at = ['--host', listener.address, '--mqtt-port', String(listener.port), '--tls', 'true'];
      return { credentials: { secret }, flags: [...at, '--ca', authorityFile, '--iot-hub', host] };
    },
  };
}
