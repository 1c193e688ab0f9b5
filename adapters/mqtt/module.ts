import { provide, type Offer } from '../provider-module.ts';
import { mqttDeviceGatewayConfigSchema, type MqttDeviceGatewayConfig } from './mqtt-device-gateway/config.ts';
import { mqttConnection } from './mqtt-device-gateway/device-connection.ts';
import { MqttDeviceGateway } from './mqtt-device-gateway/mqtt-device-gateway.ts';

/** What a site may have of brokers that speak MQTT 5. */
export const mqttOffers: readonly Offer[] = [
  {
    ...provide(
      'deviceGateway',
      'mqtt-device-gateway',
      mqttDeviceGatewayConfigSchema,
      async (settings, { get }) => {
        const [devices, clock] = [await get('deviceRegistry'), await get('clock')];
        return (hooks) => new MqttDeviceGateway(settings, { ...hooks, devices, clock });
      },
      async (settings, tools) => (await import('./verifications.ts')).verifyMqttDeviceGateway(settings, tools),
    ),
    describeConnection: (settings) => mqttConnection(settings as MqttDeviceGatewayConfig),
  },
];
