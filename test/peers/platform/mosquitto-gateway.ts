import { MosquittoDevice } from '../mosquitto-device.ts';
import type { Mosquitto } from '../mosquitto.ts';
import type { SiteGateway } from './site.ts';

/** Devices with certificates at a broker of the site. */
export function mosquittoGateway(broker: Mosquitto): SiteGateway {
  return {
    connect: async ({ device: id, topics }) => {
      const device = await MosquittoDevice.connect(broker, { certificate: broker.deviceCertificate(id), as: id });
      const own = `device/${id}/`;
      if (!topics.every((topic) => topic.startsWith(own)))
        throw new Error(
          `the platform told ${id} to publish at ${topics.join(', ')}, where the broker lets it only below ${own}`,
        );
      return {
        publishTo: (topic, payload) => device.publishTo(topic.slice(own.length), payload),
        onCommand: (machine, listener) => device.onCommand(machine, listener),
        disconnect: () => device.disconnect(),
        cut: () => device.cut(),
      };
    },
    simulator: ({ device: id }) => ({
      credentials: broker.deviceFiles(id),
      flags: [
        ...['--mqtt-port', String(broker.devicePort), '--topic-root', 'device'],
        ...['--tls', 'true', '--ca', broker.authorityFile],
      ],
    }),
  };
}
