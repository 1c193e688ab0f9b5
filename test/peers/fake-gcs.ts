import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { installed } from './cache.ts';
import { freePort, PeerProcess } from './peer-process.ts';
import { ServedPeer } from './served-peer.ts';

const MODULE = 'github.com/fsouza/fake-gcs-server@v1.56.1';

/** The peer of Google's Cloud Storage: fake-gcs-server, with its state in memory. */
export class FakeGcs extends ServedPeer {
  /** Where it is installed, installing it first where it is not. */
  static folder(): Promise<string> {
    return installed('fake-gcs-server', MODULE, install);
  }

  static async start(): Promise<FakeGcs> {
    const folder = await FakeGcs.folder();
    const port = await freePort();
    const endpoint = `http://127.0.0.1:${port}`;
    const server = await PeerProcess.start({
      name: 'fake-gcs-server',
      command: [
        ...([join(folder, 'fake-gcs-server'), '-scheme', 'http', '-host', '127.0.0.1', '-port', String(port)] as const),
        ...['-backend', 'memory', '-public-host', `127.0.0.1:${port}`, '-external-url', endpoint],
      ],
      isReady: async () => (await fetch(`${endpoint}/storage/v1/b?project=tribo`)).ok,
    });
    return new FakeGcs(endpoint, server);
  }
}

async function install(into: string): Promise<void> {
  const flags = ['-ldflags', '-s -w'];
  await promisify(execFile)('go', ['install', ...flags, MODULE], { env: { ...process.env, GOBIN: into } });
}
