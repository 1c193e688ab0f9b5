import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { isRunning, processOf, type ProcessMark } from './process-mark.ts';

/** A lock that was taken, or the process that has it. */
type Taken = { readonly release: () => void } | { readonly holder: ProcessMark };

/**
 * Takes a file for this process. It holds the process's id and, where the system tells it, its start; one whose process is gone is taken over: a
 * crash leaves it behind.
 */
export function tryTake(path: string): Taken {
  const own = `${path}.${process.pid}`;
  try {
    // Linked into place, so that nobody reads half of it.
    const { startTicks = '' } = processOf(process.pid) ?? {};
    writeFileSync(own, `${process.pid} ${startTicks}`.trimEnd());
    for (;;) {
      if (isLinked(own, path)) return { release: () => rmSync(path, { force: true }) };
      const found = textOf(path);
      if (found === undefined) continue;
      const holder = holderIn(found);
      if (holder.pid !== process.pid && isRunning(holder)) return { holder };
      moveAway(path, found);
    }
  } finally {
    rmSync(own, { force: true });
  }
}

/** The process that has the file; undefined where none has. */
export function holderOfLock(path: string): ProcessMark | undefined {
  const found = textOf(path);
  const holder = found === undefined ? undefined : holderIn(found);
  return holder && isRunning(holder) ? holder : undefined;
}

function isLinked(own: string, path: string): boolean {
  try {
    linkSync(own, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Removes the lock of a process that is gone; where another process was quicker and has taken it by now, that one keeps it. */
function moveAway(path: string, expected: string): void {
  const aside = `${path}.${process.pid}.left`;
  try {
    renameSync(path, aside);
    if (textOf(aside) !== expected) isLinked(aside, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  } finally {
    rmSync(aside, { force: true });
  }
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Of the process that wrote the lock. */
function holderIn(lock: string): ProcessMark {
  const [pid = '', startTicks] = lock.trim().split(' ');
  return { pid: Number(pid), ...(startTicks !== undefined && { startTicks: Number(startTicks) }) };
}
