import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { installed } from './cache.ts';
import { freePort, PeerProcess } from './peer-process.ts';

const PACKAGE = 'kinesalite@3.3.3';

/** A second peer of Kinesis: unlike moto's, its shards end when they are split or merged. It takes any credentials. */
export class Kinesalite implements AsyncDisposable {
  readonly endpoint: string;
  readonly #process: PeerProcess;

  static async start(): Promise<Kinesalite> {
    const folder = await installed('kinesalite', PACKAGE, install);
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

  private constructor(endpoint: string, server: PeerProcess) {
    this.endpoint = endpoint;
    this.#process = server;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process[Symbol.asyncDispose]();
  }
}

async function install(into: string): Promise<void> {
  const flags = ['--no-audit', '--no-fund', '--no-save', '--ignore-scripts', '--loglevel=error', '--prefix', into];
  await promisify(execFile)('npm', ['install', ...flags, PACKAGE], { cwd: into });
}
