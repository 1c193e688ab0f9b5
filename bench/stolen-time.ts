import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** Of the numbers after "cpu" in /proc/stat (proc_stat(5)): time that the host gave to others while this machine had work. */
const STEAL = 8;
const TICKS_A_SECOND = 100;

/** For how long the host of this machine gave its cores to others since it started, a core; 0 where the system does not tell. */
export function stolenSeconds(): number {
  let line: string | undefined;
  try {
    line = readFileSync('/proc/stat', 'utf8').split('\n')[0];
  } catch {
    return 0;
  }
  return Number(line?.split(/\s+/)[STEAL] ?? 0) / TICKS_A_SECOND / availableParallelism();
}
