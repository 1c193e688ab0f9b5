import { systemClock } from '#core/clock.ts';
import { deviceGatewayContract } from '#core/contracts/device-gateway.contract.ts';
import type { DeviceId, MachineKey, TenantId } from '#core/domain/ids.ts';
import { ACME, FOREIGN, MqttWorld, OTHER, PRESS, PUMP } from '#test/peers/mqtt-world.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import {
  certificateAuthority,
  issuedCertificate,
  type TestCertificate,
} from '#test/support/self-signed-certificate.ts';

const ACKNOWLEDGES =
  'ackMeans is provider-accepted: a broker of MQTT acknowledges what it has taken over, before its subscribers have it';
const AUTHENTICATES =
  'the broker authenticates devices by their certificates and knows nothing of our registry: what a disabled device sends is refused here, its certificate is revoked at the broker';

describeContract(
  deviceGatewayContract,
  'mosquitto',
  async () => {
    const world = await MqttWorld.open();
    const certificates = new Map<string, TestCertificate>();
    return {
      gateway: world.newGateway(),
      machines: [PRESS, PUMP, FOREIGN] as const,
      tenants: [ACME, ACME, OTHER] as const,
      async addDevice(id: string, tenant: TenantId, machines: readonly MachineKey[]) {
        await world.addDevice(id, tenant, machines);
        const certificate = world.broker.deviceCertificate(id);
        certificates.set(certificate.key, certificate);
        return certificate.key;
      },
      setEnabled: (id: string, enabled: boolean) => world.devices.setEnabled(id as DeviceId, enabled),
      bindMachines: async (id: string, machines: readonly MachineKey[]) => {
        await world.devices.bindMachines(id as DeviceId, machines);
      },
      // A secret is the key of a certificate; a wrong one is that of a certificate which another authority issued in the device's name.
      connect: (id: string, secret: string, as = id) => {
        const forged = secret === '' ? undefined : issuedCertificate(certificateAuthority(), { commonName: id });
        return world.connect(id, { certificate: certificates.get(secret) ?? forged, as });
      },
      nowMs: () => systemClock.nowMs(),
      [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
    };
  },
  [
    { case: 'acknowledges a message only after intake has made it durable', reason: ACKNOWLEDGES },
    {
      case: 'leaves what a device sends unacknowledged while intake is not ready, or refuses messages of that kind',
      reason: ACKNOWLEDGES,
    },
    { case: 'turns away a device that is disabled, until it is enabled again', reason: AUTHENTICATES },
    { case: 'ends the connection of a device that is disabled', reason: AUTHENTICATES },
    {
      case: 'keeps commands for a device that never was there, in order, until they expire',
      reason:
        'a broker keeps messages in sessions, and a device that never subscribed has none: the command fails with failed_precondition, as the port says',
    },
    { case: 'lets no device connect once it is closed', reason: 'devices connect to the broker, which runs on' },
  ],
);
