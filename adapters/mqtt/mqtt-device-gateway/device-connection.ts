import { deviceTopic } from '#core/ingestion/topics.ts';
import type { DescribeConnection } from '#core/ports/device-gateway.ts';
import type { MqttDeviceGatewayConfig } from './config.ts';

/** Of MQTT with TLS. */
const DEVICES_PORT = 8883;

/** How a device connects to the site's broker: below the topics of its name, by a certificate that the site issued. */
export function mqttConnection({ url, devicesUrl, caFile, topicRoot }: MqttDeviceGatewayConfig): DescribeConnection {
  return ({ id, machines }) => {
    const topicsOf = (kind: 'telemetry' | 'command') =>
      machines.map((machine) => `${topicRoot}/${id}/${deviceTopic({ kind, machine })}`);
    return {
      ...{ url: devicesUrl ?? `mqtts://${new URL(url).hostname}:${DEVICES_PORT}`, mqttVersion: '5', clientId: id },
      ...(caFile !== undefined && { caFile }),
      ...{ certificate: 'issued by the site', isKnownToHttp: true },
      ...{ telemetryTopics: topicsOf('telemetry'), commandTopics: topicsOf('command') },
    };
  };
}
