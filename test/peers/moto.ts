import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { installed } from './cache.ts';
import { freePort, PeerProcess } from './peer-process.ts';
import { ServedPeer } from './served-peer.ts';

const PACKAGE = 'moto[server,s3,dynamodb]==5.2.5';

/** The peer of AWS: moto's server, which keeps its state in memory and takes any credentials. */
export class Moto extends ServedPeer {
  /** Where it is installed, installing it first where it is not. */
  static folder(): Promise<string> {
    return installed('moto', PACKAGE, install);
  }

  static async start(): Promise<Moto> {
    const folder = await Moto.folder();
    const port = await freePort();
    const endpoint = `http://127.0.0.1:${port}`;
    const server = await PeerProcess.start({
      name: 'moto',
      command: [join(folder, 'venv/bin/python'), join(import.meta.dirname, 'moto-server.py'), String(port)],
      isReady: async () => (await fetch(`${endpoint}/moto-api/data.json`)).ok,
    });
    // The SDK's default chain finds them, as it would on a machine of AWS.
    Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' });
    return new Moto(endpoint, server);
  }

  /** Forgets everything. */
  async reset(): Promise<void> {
    await fetch(`${this.endpoint}/moto-api/reset`, { method: 'POST' });
  }

  /** It takes connections and answers none, until it goes on. */
  pause(): void {
    process.kill(this.process.pid, 'SIGSTOP');
  }

  goOn(): void {
    process.kill(this.process.pid, 'SIGCONT');
  }
}

async function install(into: string): Promise<void> {
  const run = promisify(execFile);
  await run('python3', ['-m', 'venv', join(into, 'venv')]);
  await run(join(into, 'venv/bin/python'), ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', PACKAGE]);
}
