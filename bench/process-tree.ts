import type { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** Anonymous memory and processor time of a process and all that it started, from /proc. */
export class ProcessTree {
  readonly #root: number;

  constructor(child: ChildProcess) {
    this.#root = child.pid ?? 0;
  }

  pids(): number[] {
    const parents = new Map<number, number>();
    for (const name of readdirSync('/proc')) {
      if (!/^\d+$/.test(name)) continue;
      const stat = statFields(`/proc/${name}/stat`);
      if (stat) parents.set(Number(name), Number(stat[1]));
    }
    const tree = [this.#root];
    for (const pid of tree) for (const [each, parent] of parents) if (parent === pid) tree.push(each);
    return tree;
  }

  anonymousMiB(): number {
    return this.pids().reduce((sum, pid) => sum + anonymousKiB(pid), 0) / 1024;
  }

  cpuSeconds(): number {
    return this.pids().reduce((sum, pid) => sum + cpuSecondsOf(`/proc/${pid}/stat`), 0);
  }

  /** Processor seconds so far by process, its main thread apart from the threads beside it. */
  threads(): readonly ProcessThreads[] {
    return this.pids().map((pid) => {
      const all = cpuSecondsOf(`/proc/${pid}/stat`);
      const main = cpuSecondsOf(`/proc/${pid}/task/${pid}/stat`);
      return { pid, command: commandOf(pid), mainSeconds: main, otherSeconds: all - main };
    });
  }
}

export interface ProcessThreads {
  readonly pid: number;
  /** The service that the process runs. */
  readonly command: string;
  readonly mainSeconds: number;
  readonly otherSeconds: number;
}

/** Takes the highest of a figure of the tree until stopped. */
export class PeakMemory {
  readonly #samples: { readonly atS: number; readonly mib: number }[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(tree: ProcessTree, everyMs = 500) {
    const began = performance.now();
    const take = () => this.#samples.push({ atS: (performance.now() - began) / 1000, mib: tree.anonymousMiB() });
    take();
    this.#timer = setInterval(take, everyMs);
  }

  get samples(): readonly { readonly atS: number; readonly mib: number }[] {
    return this.#samples;
  }

  stop(): number {
    clearInterval(this.#timer);
    return Math.max(...this.#samples.map(({ mib }) => mib));
  }
}

function anonymousKiB(pid: number): number {
  return Number(/RssAnon:\s+(\d+)/.exec(read(`/proc/${pid}/status`) ?? '')?.[1] ?? 0);
}

/** In ticks of 10 ms, as every Linux of today counts them. */
function cpuSecondsOf(stat: string): number {
  const fields = statFields(stat);
  return fields ? (Number(fields[11]) + Number(fields[12])) / 100 : 0;
}

function commandOf(pid: number): string {
  const words = (read(`/proc/${pid}/cmdline`) ?? '').split('\0');
  const entry = words.find((word) => /\.(ts|js)$/.test(word)) ?? words[0] ?? '';
  return /services\/([\w-]+)\//.exec(entry)?.[1] ?? entry;
}

/** The fields behind the command's name, which may hold anything. */
function statFields(path: string): string[] | undefined {
  const stat = read(path);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // The process ended since it was listed.
    return undefined;
  }
}
