import { join } from 'node:path';
import { freePort, PeerProcess } from './peer-process.ts';

/** services/model-server as the container of a cloud's endpoint: its answers are those of the real ONNX runtime. */
export class ModelServer implements AsyncDisposable {
  readonly url: string;
  readonly #process: PeerProcess;

  static async start(env: Readonly<Record<string, string>> = {}): Promise<ModelServer> {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const main = join(import.meta.dirname, '../../services/model-server/main.ts');
    const server = await PeerProcess.start({
      name: 'model-server',
      command: [process.execPath, main, '--port', String(port)],
      env,
      isReady: async () => (await fetch(`${url}/ping`)).ok,
    });
    return new ModelServer(url, server);
  }

  private constructor(url: string, server: PeerProcess) {
    this.url = url;
    this.#process = server;
  }

  async post(path: string, body: Buffer): Promise<{ readonly status: number; readonly body: string }> {
    const answer = await fetch(`${this.url}${path}`, { method: 'POST', body: new Uint8Array(body) });
    return { status: answer.status, body: await answer.text() };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process[Symbol.asyncDispose]();
  }
}
