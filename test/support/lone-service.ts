import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { readAddress } from '#services/shared/process/service-address.ts';
import { until } from './platform-process.ts';

/** A service as somebody starts it by itself, without a platform: `node services/<name>/main.ts`. */
export class LoneService implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;
  /** What it wrote to standard error. */
  words = '';

  constructor(name: string, dataDir: string, further: Readonly<Record<string, string>> = {}) {
    const entry = fileURLToPath(new URL(`../../services/${name}/main.ts`, import.meta.url));
    const env = { ...process.env, TRIBO_DATA_DIR: dataDir, TRIBO_MQTT_PORT: '0', TRIBO_LOG_LEVEL: 'error', ...further };
    this.#child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', entry], {
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.words += text));
    this.#ended = once(this.#child, 'close').then(([code]) => code as number | null);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Its exit code, once it has ended. */
  get ended(): Promise<number | null> {
    return this.#ended;
  }

  /** Starts it, and resolves when it says where it is. */
  static async started(
    name: string,
    dataDir: string,
    further?: Readonly<Record<string, string>>,
  ): Promise<LoneService> {
    const service = new LoneService(name, dataDir, further);
    await until(`${name} runs`, async () => {
      if (service.#child.exitCode !== null) throw new Error(`${name} ended: ${service.words}`);
      return readAddress(dataDir, name)?.pid === service.pid;
    }).catch(async (error: unknown) => {
      await service.kill();
      throw error;
    });
    return service;
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}
