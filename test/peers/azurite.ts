import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { installed } from './cache.ts';
import { freePort, PeerProcess } from './peer-process.ts';
import { installPackage } from './served-peer.ts';

const PACKAGE = 'azurite@3.35.0';
const ACCOUNT = 'tribo';

/** The peer of Azure Blob Storage: Microsoft's own emulator, with its state in memory and an account of this run. */
export class Azurite implements AsyncDisposable {
  readonly connectionString: string;
  readonly #process: PeerProcess;

  /** Where it is installed, installing it first where it is not. */
  static folder(): Promise<string> {
    return installed('azurite', PACKAGE, (into) => installPackage(PACKAGE, into));
  }

  static async start(): Promise<Azurite> {
    const folder = await Azurite.folder();
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const key = randomBytes(32).toString('base64');
    const server = await PeerProcess.start({
      name: 'azurite',
      command: [
        ...([process.execPath, join(folder, 'node_modules/azurite/dist/src/blob/main.js')] as const),
        ...['--inMemoryPersistence', '--silent', '--disableTelemetry', '--skipApiVersionCheck'],
        // Else a connection that a slow test left idle is closed as it is used again.
        ...['--blobKeepAliveTimeout', '600'],
        ...['--blobHost', '127.0.0.1', '--blobPort', String(port)],
      ],
      env: { AZURITE_ACCOUNTS: `${ACCOUNT}:${key}` },
      // It refuses a request that nobody signed, which shows that it answers.
      isReady: async () => (await fetch(`${url}/${ACCOUNT}?comp=list`)).status === 403,
    });
    const endpoint = `BlobEndpoint=${url}/${ACCOUNT}`;
    return new Azurite(`DefaultEndpointsProtocol=http;AccountName=${ACCOUNT};AccountKey=${key};${endpoint};`, server);
  }

  private constructor(connectionString: string, server: PeerProcess) {
    this.connectionString = connectionString;
    this.#process = server;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process[Symbol.asyncDispose]();
  }
}
