import type { DescribeConnection } from '#core/ports/device-gateway.ts';
import type { IotHubDeviceGatewayConfig } from './config.ts';
import { deviceLogin, messageTopic } from './device-binding.ts';

const DEVICES_PORT = 8883;
/** For the lines to try with; a device makes tokens of its own from its key. */
const TOKEN_LIFE_MS = 86_400_000;

/** How a device connects to IoT Hub: its one topic, the machine among the properties, a token of its key as the password. */
export function iotHubConnection({ host }: IotHubDeviceGatewayConfig): DescribeConnection {
  return ({ id, machines }, key, nowMs) => {
    const passwordExpiresMs = nowMs + TOKEN_LIFE_MS;
    return {
      ...{ url: `mqtts://${host}:${DEVICES_PORT}`, mqttVersion: '3.1.1', clientId: id },
      ...{ ...deviceLogin(host, { id, key, expiresMs: passwordExpiresMs }), passwordExpiresMs },
      telemetryTopics: machines.map((machine) =>
        messageTopic(id, { kind: 'telemetry', machine: machine.split('/').slice(1).join('/') }),
      ),
      commandTopics: [`devices/${id}/messages/devicebound/#`],
      isKnownToHttp: true,
    };
  };
}
