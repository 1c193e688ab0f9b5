import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  DATA_FORMAT,
  DataFolderError,
  FORMAT_FILE,
  formatOf,
  refuseNewerFormat,
  type DataFormat,
} from '#services/shared/process/data-format.ts';
import { isRunning, processOf, type ProcessMark } from '#services/shared/process/process-mark.ts';
import { finishSwap } from './folder-swap.ts';

export const LOCK_FILE = 'platform.pid';

/** A step from one format to the next. It leaves the folder as the next format expects it, or unchanged when it fails. */
export type Migration = (folder: string) => void;

/** The chain of formats, forward only. */
export interface DataFormats {
  readonly current: number;
  /** By the format that each starts from; every one below `current` is there. */
  readonly migrations: Readonly<Record<number, Migration>>;
}

const FORMATS: DataFormats = { current: DATA_FORMAT, migrations: {} };

export interface OpenOptions {
  readonly formats?: DataFormats;
  /** Told in words before a folder is migrated. Default: standard error. */
  readonly notice?: (message: string) => void;
}

/**
 * Makes the folder on first use, refuses one that a newer Tribo wrote, migrates an older one, and takes it for this process.
 * Returns how to give it back.
 */
export function openDataFolder(
  folder: string,
  softwareVersion: string,
  { formats = FORMATS, notice = (message) => process.stderr.write(`${message}\n`) }: OpenOptions = {},
): () => void {
  finishSwap(folder);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
  const release = lockDataFolder(folder);
  try {
    migrate(folder, softwareVersion, formats, notice);
  } catch (error) {
    release();
    throw error;
  }
  return release;
}

/** The process id of the Tribo that has the folder. */
export function holderOf(folder: string): number | undefined {
  const path = join(folder, LOCK_FILE);
  const holder = existsSync(path) ? holderIn(readFileSync(path, 'utf8')) : undefined;
  return holder && isRunning(holder) ? holder.pid : undefined;
}

function migrate(folder: string, softwareVersion: string, formats: DataFormats, notice: (text: string) => void): void {
  const { current, migrations } = formats;
  const path = join(folder, FORMAT_FILE);
  const found = formatOf(folder) ?? current;
  refuseNewerFormat(folder, found, current);
  if (found < current) {
    notice(
      `${folder} has data format ${found} and is migrated to ${current}. An older Tribo cannot read it afterwards: the way back is a backup taken before ("tribo backup" of the older Tribo).`,
    );
  }
  for (let version = found; version < current; version++) {
    const step = migrations[version];
    if (!step) throw new DataFolderError(`no migration from data format ${version}`);
    step(folder);
    writeFormat(path, version + 1, softwareVersion);
  }
  if (!existsSync(path)) writeFormat(path, current, softwareVersion);
}

function writeFormat(path: string, format: number, createdBy: string): void {
  writeFileSync(`${path}.new`, `${JSON.stringify({ format, createdBy } satisfies DataFormat)}\n`);
  renameSync(`${path}.new`, path);
}

/**
 * Takes the folder for this process, without opening it: one Tribo a folder. A lock whose process is gone is taken over: a crash leaves it
 * behind. Returns how to give it back.
 */
export function lockDataFolder(folder: string): () => void {
  const path = join(folder, LOCK_FILE);
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      const { startTicks = '' } = processOf(process.pid) ?? {};
      writeFileSync(path, `${process.pid} ${startTicks}`.trimEnd(), { flag: 'wx' });
      return () => rmSync(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = holderIn(readFileSync(path, 'utf8'));
    if (holder.pid !== process.pid && isRunning(holder)) {
      throw new DataFolderError(
        `${folder} is in use by another Tribo (process ${holder.pid}): stop it, or set TRIBO_DATA_DIR to another folder`,
      );
    }
    rmSync(path, { force: true });
  }
  throw new DataFolderError(`${folder} is being taken by another Tribo at this moment: try again`);
}

/** Of the process that wrote the lock: its id and, where the system tells it, its start. */
function holderIn(lock: string): ProcessMark {
  const [pid = '', startTicks] = lock.trim().split(' ');
  return { pid: Number(pid), ...(startTicks !== undefined && { startTicks: Number(startTicks) }) };
}
