import { MosquittoDevice } from '../mosquitto-device.ts';
import type { Mosquitto } from '../mosquitto.ts';
import type { SiteGateway } from './site.ts';

/** Devices with certificates at a broker of the site. */
export function mosquittoGateway(broker: Mosquitto): SiteGateway {
  return {
    connect: ({ device: id }) => MosquittoDevice.connect(broker, { certificate: broker.deviceCertificate(id), as: id }),
    simulator: ({ device: id }) => ({
      credentials: broker.deviceFiles(id),
      flags: [
        ...['--mqtt-port', String(broker.devicePort), '--topic-root', 'device'],
        ...['--tls', 'true', '--ca', broker.authorityFile],
      ],
    }),
  };
}
