import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../services/edge-simulator/main.ts', import.meta.url));
const LOG_KEPT_CHARACTERS = 4000;

interface SimulatorProcessOptions {
  /** Where its messages wait; made here. */
  readonly folder: string;
  /** Machines of the demo plant that it is. */
  readonly machines: readonly string[];
  readonly device: string;
  /** What its credentials file has of the device besides its id and machines. */
  readonly credentials: object;
  /** How to reach the broker, and what else is asked for. */
  readonly flags: readonly string[];
}

/** The platform's own simulator as a process of its own: one device that speaks for machines of the demo plant. */
export class SimulatorProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ackLog: string;
  #log = '';
  readonly #killAtExit = (): void => void this.#child.kill('SIGKILL');

  constructor({ folder, machines, device, credentials, flags }: SimulatorProcessOptions) {
    mkdirSync(folder);
    this.#ackLog = join(folder, 'acknowledged');
    const file = join(folder, 'credentials.json');
    writeFileSync(file, JSON.stringify({ devices: [{ id: device, ...credentials, machines }] }));
    const own = ['--credentials', file, '--data-dir', join(folder, 'data'), '--ack-log', this.#ackLog];
    const given = [...own, '--machines', machines.join(','), '--log-level', 'warn', ...flags];
    this.#child = spawn(process.execPath, [MAIN, ...given], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#log = (this.#log + text).slice(-LOG_KEPT_CHARACTERS);
    });
    process.on('exit', this.#killAtExit);
  }

  /** Ids of messages that are acknowledged, of all its machines. */
  get acknowledged(): readonly string[] {
    return existsSync(this.#ackLog) ? readFileSync(this.#ackLog, 'utf8').split('\n').slice(0, -1) : [];
  }

  /** The end of what it wrote to standard error. */
  get log(): string {
    return this.#log;
  }

  /** As Ctrl-C would; its exit code. */
  async stop(): Promise<number | null> {
    if (this.#child.exitCode !== null) return this.#child.exitCode;
    const exit = once(this.#child, 'exit') as Promise<[number | null]>;
    this.#child.kill('SIGTERM');
    return (await exit)[0];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    process.off('exit', this.#killAtExit);
    await this.stop();
  }
}
