import { DatabaseSync } from 'node:sqlite';

/** A lock on a file, held until released or until its process ends, however it ends. */
export interface ExclusiveLock {
  release(): void;
}

/**
 * Takes the lock, or returns undefined where another holder has it, in this process or another. The operating system keeps it - through
 * SQLite, because Node has no call for it - so a killed holder frees it at once and no clock is involved.
 */
export function tryLock(path: string): ExclusiveLock | undefined {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec('begin exclusive');
    return { release: () => database.close() };
  } catch (error) {
    database.close();
    if ((error as { readonly errcode?: unknown }).errcode === SQLITE_BUSY) return undefined;
    throw error;
  }
}

const SQLITE_BUSY = 5;
