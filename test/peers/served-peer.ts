import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { PeerProcess } from './peer-process.ts';

/** A peer that is one process, reached at an address. */
export class ServedPeer implements AsyncDisposable {
  readonly endpoint: string;
  protected readonly process: PeerProcess;

  protected constructor(endpoint: string, process: PeerProcess) {
    this.endpoint = endpoint;
    this.process = process;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.process[Symbol.asyncDispose]();
  }
}

/** Installs a package of npm into a folder of its own. */
export async function installPackage(name: string, into: string, flags: readonly string[] = []): Promise<void> {
  const quiet = ['--no-audit', '--no-fund', '--no-save', '--loglevel=error', ...flags, '--prefix', into];
  await promisify(execFile)('npm', ['install', ...quiet, name], { cwd: into });
}
