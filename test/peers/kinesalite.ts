import { join } from 'node:path';
import { installed } from './cache.ts';
import { freePort, PeerProcess } from './peer-process.ts';
import { installPackage, ServedPeer } from './served-peer.ts';

const PACKAGE = 'kinesalite@3.3.3';

/** A second peer of Kinesis: unlike moto's, its shards end when they are split or merged. It takes any credentials. */
export class Kinesalite extends ServedPeer {
  /** Where it is installed, installing it first where it is not. */
  static folder(): Promise<string> {
    return installed('kinesalite', PACKAGE, (into) => installPackage(PACKAGE, into, ['--ignore-scripts']));
  }

  static async start(): Promise<Kinesalite> {
    const folder = await Kinesalite.folder();
    const port = await freePort();
    const endpoint = `http://127.0.0.1:${port}`;
    const server = await PeerProcess.start({
      name: 'kinesalite',
      command: [process.execPath, join(import.meta.dirname, 'kinesalite-server.ts'), folder, String(port)],
      // It refuses a request that nobody signed, which shows that it answers.
      isReady: async () => (await fetch(endpoint)).status > 0,
    });
    return new Kinesalite(endpoint, server);
  }
}
