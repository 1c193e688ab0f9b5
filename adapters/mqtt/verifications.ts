import {
  deployedChecks,
  VERIFICATION_MARK,
  type Verification,
  type VerificationTools,
} from '#core/contracts/verification.ts';
import type { DeviceId, MachineKey } from '#core/domain/ids.ts';
import { BrokerConnection } from './mqtt-device-gateway/broker-connection.ts';
import type { MqttDeviceGatewayConfig } from './mqtt-device-gateway/config.ts';
import { DeviceTopics } from './mqtt-device-gateway/device-topics.ts';

/**
 * Connects as a client of its own, whose session ends with it, and listens and speaks to a device that nobody is: under the gateway's name the
 * broker would take the session from it, and what a device publishes would be taken in.
 */
export async function verifyMqttDeviceGateway(
  settings: MqttDeviceGatewayConfig,
  { run }: VerificationTools,
): Promise<Verification> {
  const { url, topicRoot } = settings;
  const device = `${VERIFICATION_MARK}-${run}` as DeviceId;
  const machine = `${VERIFICATION_MARK}/${VERIFICATION_MARK}/${VERIFICATION_MARK}` as MachineKey;
  const command = new DeviceTopics(topicRoot).command(device, machine);
  const ofMachine = command.slice(0, -'command'.length);
  const heard = ['telemetry', `waveform/${VERIFICATION_MARK}`, 'status'].map((kind) => ({
    topic: `${ofMachine}${kind}`,
    qos: 1 as const,
  }));
  const connected = async (work: (connection: BrokerConnection) => Promise<unknown>) => {
    const own = { clientId: device, receiveMaximum: 1, onMessage: () => undefined };
    const connection = await BrokerConnection.open({ ...settings, sessionExpiryS: 0 }, own);
    try {
      await work(connection);
    } finally {
      await connection.close();
    }
  };
  return {
    makes: `a session ${device} at ${url}, which ends with it, and a command to a device of that name, which is nobody`,
    needs: `to connect to ${url} under another client id than the gateway's, to read ${topicRoot}/+/# but commands, and to write commands`,
    contracts: [
      deployedChecks(
        'device-gateway',
        [
          { name: 'the broker takes this client, over MQTT 5', run: () => connected(async () => undefined) },
          {
            name: 'what a device publishes is granted by QoS 1',
            run: () => connected((connection) => connection.subscribe(heard)),
          },
          {
            name: 'a command is taken',
            run: () =>
              connected((connection) =>
                connection.publish({ topic: command, payload: Buffer.alloc(0), qos: 1, properties: {} }, undefined),
              ),
          },
        ],
        [
          {
            name: 'the contract of device gateways: what devices send is offered to intake, and acknowledged once it is durable',
            why: "the site's gateway would take what is sent",
            byHand: 'let one device of the site connect, and see its readings and `tribo device list`',
          },
          {
            name: 'devices may speak for themselves alone',
            why: "the broker's rules for devices hold for their credentials, which are not here",
            byHand: 'publish with one device to the topic of another: the broker refuses it',
          },
        ],
      ),
    ],
    sweep: async () => 0,
    close: async () => undefined,
  };
}
