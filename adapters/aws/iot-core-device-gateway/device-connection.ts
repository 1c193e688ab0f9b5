import { deviceTopic } from '#core/ingestion/topics.ts';
import type { DescribeConnection } from '#core/ports/device-gateway.ts';
import type { IotCoreDeviceGatewayConfig } from './config.ts';

/** Of IoT Core, for MQTT with certificates. */
const DEVICES_PORT = 8883;

/** How a device connects to IoT Core: by the certificate and key that are its secret. */
export function iotCoreConnection({ dataEndpoint }: IotCoreDeviceGatewayConfig): DescribeConnection {
  return ({ id, machines }) => ({
    ...{ url: `mqtts://${new URL(dataEndpoint).hostname}:${DEVICES_PORT}`, mqttVersion: '5', clientId: id },
    ...{ certificate: 'the secret', isKnownToHttp: false },
    telemetryTopics: machines.map((machine) => deviceTopic({ kind: 'telemetry', machine })),
    commandTopics: machines.map((machine) => deviceTopic({ kind: 'command', machine })),
  });
}
