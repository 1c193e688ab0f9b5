import { existsSync, readdirSync, renameSync, rmdirSync } from 'node:fs';

/** A folder put in the place of another, which was kept beside it. */
export interface FolderSwap {
  /** Where the former content is now; undefined where there was none. */
  readonly aside: string | undefined;
  /** Puts the former content back, and the new one beside it; returns where that is. */
  undo(): string;
}

/** Where a restored folder waits, whole and verified, for its place. */
export function restoredFolder(folder: string): string {
  return `${folder}.restored`;
}

/**
 * Puts the folder that waits as {@link restoredFolder} in its place by renaming; what was there is kept beside it, named after
 * the time, unless it was empty.
 * @throws Error of the file system, with everything where it was.
 */
export function swapFolder(folder: string, nowMs: number): FolderSwap {
  const restored = restoredFolder(folder);
  if (existsSync(folder) && readdirSync(folder).length === 0) rmdirSync(folder);
  const aside = existsSync(folder) ? beside(folder, 'before-restore', nowMs) : undefined;
  if (aside !== undefined) renameSync(folder, aside);
  try {
    renameSync(restored, folder);
  } catch (error) {
    if (aside !== undefined) renameSync(aside, folder);
    throw error;
  }
  return {
    aside,
    undo: () => {
      const failed = beside(folder, 'restore-failed', nowMs);
      renameSync(folder, failed);
      if (aside !== undefined) renameSync(aside, folder);
      return failed;
    },
  };
}

/** A swap that was cut between its two renames is finished: the restored folder was whole. */
export function finishSwap(folder: string): void {
  if (!existsSync(folder) && existsSync(restoredFolder(folder))) renameSync(restoredFolder(folder), folder);
}

function beside(folder: string, what: string, nowMs: number): string {
  const name = `${folder}.${what}-${new Date(nowMs).toISOString().replaceAll(/[:.]/g, '-')}`;
  if (!existsSync(name)) return name;
  throw new Error(`${name} is there already`);
}
