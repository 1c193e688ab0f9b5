import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { LoadResult, LoadTask } from '#test/support/load/main.ts';
import { firstLine } from './running-platform.ts';

export const METRICS = Array.from({ length: 10 }, (_, i) => `m${i}`);

const GENERATOR = fileURLToPath(new URL('../test/support/load/main.ts', import.meta.url));

export type Load = Pick<LoadTask, 'port' | 'connections' | 'seconds'> & Partial<LoadTask>;

let loads = 0;

/** Runs the load generator as a process of its own. */
export async function runLoad(load: Load): Promise<LoadResult> {
  const task: LoadTask = {
    host: '127.0.0.1',
    metrics: METRICS,
    idPrefix: `b${process.pid.toString(36)}-${loads++}`,
    maxInFlight: 100,
    drainSeconds: 10,
    ...load,
  };
  // A thousand machines a device make a task longer than an argument may be.
  const child = spawn(process.execPath, [GENERATOR, '-'], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(JSON.stringify(task));
  return firstLine<LoadResult>(child);
}
