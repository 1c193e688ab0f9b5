import { createHmac } from 'node:crypto';
import type { DescribeConnection } from '#core/ports/device-gateway.ts';
import type { IotHubDeviceGatewayConfig } from './config.ts';

const DEVICES_PORT = 8883;
const API_VERSION = '2021-04-12';
/** For the lines to try with; a device makes tokens of its own from its key. */
const TOKEN_LIFE_MS = 86_400_000;

/** How a device connects to IoT Hub: its one topic, the machine among the properties, a token of its key as the password. */
export function iotHubConnection({ host }: IotHubDeviceGatewayConfig): DescribeConnection {
  return ({ id, machines }, key, nowMs) => {
    const passwordExpiresMs = nowMs + TOKEN_LIFE_MS;
    return {
      ...{ url: `mqtts://${host}:${DEVICES_PORT}`, mqttVersion: '3.1.1', clientId: id },
      username: `${host}/${id}/?api-version=${API_VERSION}`,
      ...{ password: tokenOf(`${host}/devices/${id}`, key, passwordExpiresMs), passwordExpiresMs },
      telemetryTopics: machines.map((machine) => {
        const place = machine.split('/').slice(1).join('/');
        return `devices/${id}/messages/events/$.ct=application%2Fjson&kind=telemetry&machine=${encodeURIComponent(place)}`;
      }),
      commandTopics: [`devices/${id}/messages/devicebound/#`],
      isKnownToHttp: true,
    };
  };
}

/** https://learn.microsoft.com/azure/iot-hub/authenticate-authorize-sas */
function tokenOf(resource: string, key: string, expiresMs: number): string {
  const [sr, se] = [encodeURIComponent(resource), Math.floor(expiresMs / 1000)];
  const signature = createHmac('sha256', Buffer.from(key, 'base64')).update(`${sr}\n${se}`).digest('base64');
  return `SharedAccessSignature sr=${sr}&sig=${encodeURIComponent(signature)}&se=${se}`;
}
