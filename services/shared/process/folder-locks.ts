import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DataFolderError } from './data-format.ts';
import { holderOfLock, tryTake } from './process-lock.ts';

/** Held by what has the whole folder: a platform, or a command while none runs. */
export const LOCK_FILE = 'platform.pid';

/** A process that was told to stop, or whose parent was killed, is gone by then. */
const PREDECESSOR_ENDS_WITHIN_MS = 15_000;
const POLL_MS = 50;

/** The process id of the Tribo that has the folder. */
export function holderOf(folder: string): number | undefined {
  return holderOfLock(join(folder, LOCK_FILE))?.pid;
}

/**
 * Takes the folder for this process, without opening it: one Tribo a folder. Returns how to give it back.
 * @throws DataFolderError where another has it.
 */
export function lockDataFolder(folder: string): () => void {
  const taken = tryTake(join(folder, LOCK_FILE));
  if ('release' in taken) return taken.release;
  throw inUse(folder, `another Tribo (process ${taken.holder.pid})`);
}

/**
 * Takes a service's part of the folder for this process: what a service writes it alone does, one process a folder. A platform, and a
 * child of a supervisor, waits for its predecessor to end. Returns how to give it back.
 * @throws DataFolderError where another process runs the service there, or another Tribo has the folder.
 */
export async function lockService(folder: string, service: string): Promise<() => void> {
  const platform = holderOf(folder);
  const isOwnPlatform = platform === process.pid || platform === process.ppid;
  if (platform !== undefined && !isOwnPlatform) throw inUse(folder, `another Tribo (process ${platform})`);
  const run = join(folder, 'run');
  mkdirSync(run, { recursive: true, mode: 0o700 });
  const waitMs = platform === undefined && !process.connected ? 0 : PREDECESSOR_ENDS_WITHIN_MS;
  for (let waitedMs = 0; ; waitedMs += POLL_MS) {
    const taken = tryTake(join(run, `${service}.lock`));
    if ('release' in taken) return taken.release;
    if (waitedMs >= waitMs) throw inUse(folder, `another ${service} (process ${taken.holder.pid})`);
    await sleep(POLL_MS);
  }
}

function inUse(folder: string, by: string): DataFolderError {
  return new DataFolderError(`${folder} is in use by ${by}: stop it, or set TRIBO_DATA_DIR to another folder`);
}
