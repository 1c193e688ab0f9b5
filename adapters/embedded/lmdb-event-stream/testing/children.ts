import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** Longer than anything takes on a slow machine: what was not there by then will not come. */
const HANG_MS = 60_000;

/** The programs of `processes/` that a test runs. One that ends though nobody killed it fails whatever waits, with what it said. */
export class Children {
  readonly #running: Child[] = [];

  /** Starts a program that goes on until it is killed. */
  start(program: string, ...given: readonly string[]): Child {
    const child = new Child(program, given);
    this.#running.push(child);
    return child;
  }

  /** Runs a program to its end. @throws Error when it fails, with what it said */
  async run(program: string, ...given: readonly string[]): Promise<void> {
    const child = new Child(program, given);
    await once(child.process, 'close');
    if (child.process.exitCode !== 0) throw new Error(child.state());
  }

  /** Waits until it is so, as `what` says in words. @throws Error when that does not come, with how the processes are */
  async until(what: string, isSo: () => boolean): Promise<void> {
    for (const began = performance.now(); !isSo(); await new Promise((resolve) => setTimeout(resolve, 5))) {
      const ended = this.#running.find((child) => child.hasEndedByItself);
      if (ended) throw new Error(`${ended.state()}, while the test waited until ${what}`);
      if (performance.now() - began < HANG_MS) continue;
      const states = this.#running.filter((child) => !child.hasEnded).map((child) => child.state());
      throw new Error(`waited ${HANG_MS} ms in vain until ${what}; ${states.join('; ')}`);
    }
  }

  async killAll(): Promise<void> {
    await Promise.all(this.#running.map((child) => child.kill()));
  }
}

export class Child {
  readonly process: ChildProcess;
  readonly #name: string;
  #said = '';
  #wasKilled = false;

  constructor(program: string, given: readonly string[]) {
    this.#name = [program, ...given.slice(1)].join(' ');
    const path = join(import.meta.dirname, '..', 'processes', program);
    this.process = spawn(process.execPath, [path, ...given], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.process.stderr?.on('data', (chunk: Buffer) => (this.#said = (this.#said + chunk.toString()).slice(-4000)));
  }

  get hasEnded(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  get hasEndedByItself(): boolean {
    return this.hasEnded && !this.#wasKilled;
  }

  /** Without notice. */
  async kill(): Promise<void> {
    if (this.hasEnded) return;
    this.#wasKilled = true;
    this.process.kill('SIGKILL');
    await once(this.process, 'exit');
  }

  /** How it is, and what it said, in words. */
  state(): string {
    const { pid, exitCode, signalCode } = this.process;
    const state = this.hasEnded ? `has ended with ${exitCode ?? signalCode}` : 'runs';
    return `process ${pid} (${this.#name}) ${state}${this.#said && `, and said: ${this.#said}`}`;
  }
}
