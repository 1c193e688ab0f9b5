/** A gateway whose intake never finishes, to be killed: `node stuck-gateway.ts <settings> <registry>` writes a line for each message that it has. */
import { sqliteDeviceRegistryConfigSchema } from '#adapters/embedded/sqlite-device-registry/config.ts';
import { SqliteDeviceRegistry } from '#adapters/embedded/sqlite-device-registry/sqlite-device-registry.ts';
import { systemClock } from '#core/clock.ts';
import type { DeviceIntake, IntakeReceipt } from '#core/ports/device-gateway.ts';
import { mqttDeviceGatewayConfigSchema } from '#adapters/mqtt/mqtt-device-gateway/config.ts';
import { MqttDeviceGateway } from '#adapters/mqtt/mqtt-device-gateway/mqtt-device-gateway.ts';

const [settings = '', databasePath = ''] = process.argv.slice(2);
const devices = await SqliteDeviceRegistry.open(sqliteDeviceRegistryConfigSchema.parse({ databasePath }));
const gateway = new MqttDeviceGateway(mqttDeviceGatewayConfigSchema.parse(JSON.parse(settings)), {
  ...{ devices, clock: systemClock },
  refuse: (reason) => process.stderr.write(`refused: ${reason}\n`),
  onProblem: (what, error) => process.stderr.write(`${what}: ${String(error)}\n`),
});
const stuck: DeviceIntake = {
  accept: ({ content }) => {
    process.stdout.write(`${Buffer.from(content.payload).toString()}\n`);
    return new Promise<IntakeReceipt>(() => undefined);
  },
  isReady: () => true,
  whenReady: () => Promise.resolve(),
};
await gateway.start(stuck, { presence: () => undefined });
