import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { until } from '#core/contracts/until.ts';

const LOG_CHARACTERS = 8000;
const READY_WITHIN_MS = 60_000;

export interface PeerStart {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  readonly env?: Readonly<Record<string, string>>;
  /** True once the peer answers a use of it; where that takes what it printed, `printed` is the end of it. */
  readonly isReady: (printed: string) => Promise<boolean>;
}

/** A server that tests run against, as a process of its own on a loopback port; it ends with the test at the latest. */
export class PeerProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  #log = '';
  readonly #killAtExit = (): void => void this.#child.kill('SIGKILL');

  /** Resolves when it answers. @throws Error with the end of what it printed. */
  static async start(peer: PeerStart): Promise<PeerProcess> {
    const started = new PeerProcess(peer);
    try {
      await until(
        async () => started.#hasEnded() || (await peer.isReady(started.printed).catch(() => false)),
        `${peer.name} answers`,
        READY_WITHIN_MS,
      );
      if (started.#hasEnded()) throw new Error(`${peer.name} ended at its start`);
      return started;
    } catch (error) {
      await started[Symbol.asyncDispose]();
      throw new Error(`${String(error)}\n${started.#log}`, { cause: error });
    }
  }

  private constructor({ command: [program, ...given], env }: PeerStart) {
    this.#child = spawn(program, given, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => (this.#log = (this.#log + text).slice(-LOG_CHARACTERS)));
    this.#child.on('error', (error) => (this.#log += String(error)));
    process.on('exit', this.#killAtExit);
  }

  /** The end of what it printed. */
  get printed(): string {
    return this.#log;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  #hasEnded(): boolean {
    return this.#child.pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    process.off('exit', this.#killAtExit);
    if (this.#hasEnded()) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const overdue = setTimeout(() => this.#child.kill('SIGKILL'), 5_000);
    await ended;
    clearTimeout(overdue);
  }
}

/** A port that was free a moment ago, for servers that cannot take one themselves. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
