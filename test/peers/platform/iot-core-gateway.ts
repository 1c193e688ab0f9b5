import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DeviceLogin } from '#test/support/platform-process.ts';
import { IotCoreDevice } from '../iot-core-device.ts';
import type { IotCore } from '../iot-core.ts';
import type { SiteGateway } from './site.ts';

/** Devices at IoT Core, where the platform told them to connect, by the certificates that are their secrets. */
export function iotCoreGateway({ devices: { ca } }: IotCore): SiteGateway {
  return {
    connect: (login) => IotCoreDevice.connect({ ...toldTo(login), ca }, login.secret, login.connection!.clientId),
    simulator: (login, folder) => {
      const { address, port } = toldTo(login);
      const [certificateFile, authorityFile] = [join(folder, 'device.pem'), join(folder, 'iot-core-ca.pem')];
      writeFileSync(certificateFile, login.secret);
      writeFileSync(authorityFile, ca);
      return {
        credentials: { certificateFile, keyFile: certificateFile },
        flags: ['--host', address, '--mqtt-port', String(port), '--tls', 'true', '--ca', authorityFile],
      };
    },
  };
}

function toldTo({ device, connection }: DeviceLogin): { readonly address: string; readonly port: number } {
  if (connection === undefined) throw new Error(`the platform told ${device} nowhere to connect`);
  const { hostname: address, port } = new URL(connection.url);
  return { address, port: Number(port) };
}
