import { execFile } from 'node:child_process';
import { cpSync } from 'node:fs';
import { connect } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { installed } from './cache.ts';
import { freePort, PeerProcess } from './peer-process.ts';

/** What go.mod and go.sum beside its program pin, and the program. */
const PSTEST = 'pstest of cloud.google.com/go/pubsub/v2 v2.3.0, program 2';

/** The peer of Pub/Sub: pstest, the server that Google tests its own clients against, with its state in memory. */
export class Pstest implements AsyncDisposable {
  /** Host and port. */
  readonly endpoint: string;
  readonly #process: PeerProcess;
  readonly #faultsUrl: string;

  /** Where it is installed, installing it first where it is not. */
  static folder(): Promise<string> {
    return installed('pubsub-pstest', PSTEST, async (into) => {
      cpSync(join(import.meta.dirname, 'pubsub-pstest'), into, { recursive: true });
      await promisify(execFile)('go', ['build', '-o', join(into, 'pstest'), '.'], { cwd: into });
    });
  }

  static async start(): Promise<Pstest> {
    const folder = await Pstest.folder();
    const [port, faultsPort] = [await freePort(), await freePort()];
    const server = await PeerProcess.start({
      name: 'pstest',
      command: [join(folder, 'pstest'), String(port), String(faultsPort)],
      isReady: async () => {
        const socket = connect(port, '127.0.0.1');
        await once(socket, 'connect');
        socket.destroy();
        return true;
      },
    });
    // Else the SDK looks for a metadata server of Google's, also for a server on this machine.
    process.env['METADATA_SERVER_DETECTION'] = 'none';
    return new Pstest(`127.0.0.1:${port}`, server, `http://127.0.0.1:${faultsPort}/`);
  }

  private constructor(endpoint: string, server: PeerProcess, faultsUrl: string) {
    this.endpoint = endpoint;
    this.#process = server;
    this.#faultsUrl = faultsUrl;
  }

  /** From now on so many requests to publish, to acknowledge and to extend are answered with that code of gRPC: of each kind every third, or all. */
  async fail(code: number, every = 1): Promise<void> {
    await this.#tell(`?code=${code}&every=${every}`);
  }

  /** How many requests failed since then. */
  async failed(): Promise<number> {
    return Number(await this.#tell(''));
  }

  async failNoMore(): Promise<void> {
    await this.#tell('?code=0');
  }

  async #tell(query: string): Promise<string> {
    const response = await fetch(this.#faultsUrl + query, { method: 'POST' });
    const text = await response.text();
    if (!response.ok) throw new Error(text);
    return text;
  }

  /** It takes connections and answers none, until it goes on. */
  pause(): void {
    process.kill(this.#process.pid, 'SIGSTOP');
  }

  goOn(): void {
    process.kill(this.#process.pid, 'SIGCONT');
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process[Symbol.asyncDispose]();
  }
}
