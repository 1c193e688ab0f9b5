import { readFileSync } from 'node:fs';

/** A process by its id and its start: an id alone is given to another program once its process has ended. */
export interface ProcessMark {
  readonly pid: number;
  /** Clock ticks from the start of the machine to that of the process, where the system tells (Linux). */
  readonly startTicks?: number;
}

/** The process that has the id now; undefined where none runs. */
export function processOf(pid: number): ProcessMark | undefined {
  if (!Number.isSafeInteger(pid) || pid < 1 || !answers(pid)) return undefined;
  const stat = statOf(pid);
  if (stat === undefined) return { pid };
  // The second field is the program's name in parentheses, and may hold any character: what follows is the state, field 3.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const startTicks = Number(fields[19]);
  return hasEnded(fields[0]) ? undefined : { pid, startTicks };
}

/** Whether it is still the same process that runs; where the start is not known, by the id alone. */
export function isRunning({ pid, startTicks }: ProcessMark): boolean {
  const present = processOf(pid);
  if (present?.startTicks === undefined || startTicks === undefined) return present !== undefined;
  return present.startTicks === startTicks;
}

function answers(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // It is there, and another user's.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function statOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
}

/** A zombie: it has ended, and its parent has not asked how. */
function hasEnded(state: string | undefined): boolean {
  return state === 'Z' || state === 'X';
}
