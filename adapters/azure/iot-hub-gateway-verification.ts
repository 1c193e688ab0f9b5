import type { TokenCredential } from '@azure/identity';
import {
  deployedChecks,
  VERIFICATION_MARK,
  type Verification,
  type VerificationTools,
} from '#core/contracts/verification.ts';
import { isPortError, PortError } from '#core/errors.ts';
import { leasesCheck, needsOf, readingCheck, sweepLeases } from './event-hubs-verification.ts';
import { openEventHubs } from './event-hubs-event-stream/client.ts';
import { openLeaseBlobs } from './event-hubs-event-stream/lease-blobs.ts';
import { iotHubCall } from './iot-hub-errors.ts';
import { openCloudToDevice } from './iot-hub-device-gateway/client.ts';
import type { IotHubDeviceGatewayConfig } from './iot-hub-device-gateway/config.ts';

/** Of a command that nobody is for. */
const EXPIRY_MS = 60_000;

/**
 * Reads the event hub of the routes, has a lease of its own, and commands a device that is not there. Feedback is not listened to: the hub says it
 * once, to one of those who listen. `test`: a credential instead of the default chain's.
 */
export async function verifyIotHubDeviceGateway(
  settings: IotHubDeviceGatewayConfig,
  { run }: Pick<VerificationTools, 'run'>,
  test?: TokenCredential,
): Promise<Verification> {
  const { host, eventHub, consumerGroup, checkpointContainer, timeoutMs } = settings;
  const client = await openEventHubs(settings);
  const blobs = await openLeaseBlobs(settings);
  const cloudToDevice = await openCloudToDevice(settings, test);
  const device = `${VERIFICATION_MARK}-${run}`;
  const command = async () => {
    const message = { id: device, payload: new Uint8Array(), expiresAtMs: Date.now() + EXPIRY_MS, properties: {} };
    try {
      await iotHubCall({ what: `send a command to ${device}`, timeoutMs }, (signal) =>
        cloudToDevice.send(device, message, signal),
      );
    } catch (error) {
      if (isPortError(error) && error.code === 'not_found') return;
      throw error;
    }
    throw new PortError('internal', `${host} takes a command to ${device}, which is not there`);
  };
  return {
    makes: `a lease of a name of its own in container ${checkpointContainer}, and a command to a device ${device}, which ${host} refuses as nobody's`,
    needs: `the role IoT Hub Data Contributor on ${host}; ${needsOf([eventHub], checkpointContainer, settings)}`,
    contracts: [
      deployedChecks(
        'device-gateway',
        [
          readingCheck(client, eventHub, consumerGroup),
          leasesCheck(blobs, run),
          { name: `${host} looks for the device of a command`, run: command },
        ],
        [
          {
            name: 'the contract of device gateways: what devices send comes to intake, with its feedback',
            why: "what is sent would be taken in, and feedback that is heard here is lost to the site's gateway",
            byHand: 'let one device of the site connect, and see its readings and `tribo device list`',
          },
          {
            name: 'the routes of messages and connection states are there',
            why: 'they are told to those alone who manage the hub',
            byHand: '`az iot hub message-route list`: those of docs/adapters/iot-hub-device-gateway.md',
          },
        ],
      ),
    ],
    sweep: (isOver) => sweepLeases(blobs, isOver),
    close: async () => {
      await cloudToDevice.close();
      await client.close();
    },
  };
}
