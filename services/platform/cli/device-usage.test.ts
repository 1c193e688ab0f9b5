import { describe, expect, it } from '@jest/globals';
import { FAMILIES } from '#adapters/providers.ts';
import { machineKey, type DeviceId, type MachineId, type SiteId, type TenantId } from '#core/domain/ids.ts';
import { deviceUsage } from './device-usage.ts';

const NOW_MS = Date.UTC(2026, 10, 22);
const KEY = Buffer.from('a key of 32 bytes, as Tribo draws').toString('base64');
const machines = [machineKey('acme' as TenantId, 'akron' as SiteId, 'press-7' as MachineId)];
const device = { id: 'gauge-1' as DeviceId, tenant: 'acme' as TenantId, machines, enabled: true, createdAtMs: 0 };

/** The lines of `tribo device add` at a site with that gateway. */
function linesAt(adapter: string, settings: object, secret: string): readonly string[] {
  const offer = Object.values(FAMILIES)
    .flat()
    .find((each) => each.adapter === adapter)!;
  const connection = offer.describeConnection!(offer.schema.parse(settings))(device, secret, NOW_MS);
  const [telemetryTopics, commandTopics] = [[...connection.telemetryTopics], [...connection.commandTopics]];
  return deviceUsage(
    {
      device: { id: device.id, machines: [{ site: 'akron', machine: 'press-7' }], enabled: true, createdMs: 0 },
      ...{ secret, topics: telemetryTopics, connection: { ...connection, telemetryTopics, commandTopics } },
    },
    { apiUrl: 'https://tribo.example', broker: new URL('mqtt://127.0.0.1:1883'), caFile: undefined },
  ).split('\n');
}

const TOPIC = 'tribo/v1/acme/akron/press-7';

describe('the lines that tribo device add prints', () => {
  it('for a broker of the site name its listener for devices, the certificate and the topic below the device', () => {
    const gateway = { url: 'mqtts://broker.example:8884', clientId: 'gateway-1', caFile: '/etc/tribo/it’s ca.pem' };
    const lines = linesAt('mqtt-device-gateway', gateway, 'secret');
    expect(lines).toContainEqual(
      expect.stringContaining(
        `mosquitto_pub -h broker.example -p 8883 --cafile '/etc/tribo/it’s ca.pem' --cert gauge-1.pem --key gauge-1.key -V mqttv5 -i gauge-1 -q 1 -t device/gauge-1/${TOPIC}/telemetry -m `,
      ),
    );
    expect(lines).toContain(`  It hears commands at device/gauge-1/${TOPIC}/command`);
  });

  it('for IoT Core name the endpoint and show the certificate, and none for HTTP, which does not know it', () => {
    const gateway = {
      region: 'us-east-2',
      dataEndpoint: 'https://a1-ats.iot.example',
      deviceStream: 's',
      stateTable: 'table',
    };
    const lines = linesAt('iot-core-device-gateway', gateway, '-----BEGIN CERTIFICATE-----\nabc\n');
    expect(lines).toContainEqual(
      expect.stringContaining(
        `mosquitto_pub -h a1-ats.iot.example -p 8883 --capath /etc/ssl/certs --cert gauge-1.pem --key gauge-1.pem -V mqttv5 -i gauge-1 -q 1 -t ${TOPIC}/telemetry -m `,
      ),
    );
    expect(lines).toContain('Its certificate and key are shown this once; keep both in gauge-1.pem:');
    expect(lines.join()).not.toContain('curl');
  });

  it('for IoT Hub have its binding, and a token of the key that is good for a day', () => {
    const gateway = {
      ...{ host: 'akron.azure-devices.net', namespace: 'akron.servicebus.windows.net', eventHub: 'devices' },
      ...{ accountUrl: 'https://akron.blob.core.windows.net', checkpointContainer: 'tribo' },
    };
    const line = linesAt('iot-hub-device-gateway', gateway, KEY).find((each) => each.includes('mosquitto_pub'))!;
    expect(line).toContain(
      "mosquitto_pub -h akron.azure-devices.net -p 8883 --tls-use-os-certs -V mqttv311 -i gauge-1 -u 'akron.azure-devices.net/gauge-1/?api-version=2021-04-12' -P 'SharedAccessSignature sr=akron.azure-devices.net%2Fdevices%2Fgauge-1&sig=",
    );
    expect(line).toContain(`&se=${NOW_MS / 1000 + 86_400}'`);
    expect(line).toContain(
      "-t 'devices/gauge-1/messages/events/$.ct=application%2Fjson&kind=telemetry&machine=akron%2Fpress-7'",
    );
  });
});
