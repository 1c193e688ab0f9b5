import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Version of the data folder's layout. It rises when a release can no longer read what an older one wrote without migrating it. */
export const DATA_FORMAT = 1;

const FORMAT_FILE = 'format.json';
const LOCK_FILE = 'platform.pid';

/** What is wrong with a data folder: said with the remedy. */
export class DataFolderError extends Error {
  override readonly name = 'DataFolderError';
}

interface Format {
  readonly format: number;
  readonly createdBy: string;
}

/** Migrations by the version they start from. Each leaves the folder as the next version expects it, or unchanged when it fails. */
const migrations: Readonly<Record<number, (folder: string) => void>> = {};

/**
 * Makes the folder on first use, refuses one that a newer Tribo wrote, migrates an older one, and takes it for this process.
 * Returns how to give it back.
 */
export function openDataFolder(folder: string, softwareVersion: string): () => void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
  const release = takeLock(folder);
  try {
    migrate(folder, softwareVersion);
  } catch (error) {
    release();
    throw error;
  }
  return release;
}

function migrate(folder: string, softwareVersion: string): void {
  const path = join(folder, FORMAT_FILE);
  const found = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Format).format : DATA_FORMAT;
  if (!Number.isInteger(found) || found < 1)
    throw new DataFolderError(`${path} does not name a format; restore it from a backup`);
  if (found > DATA_FORMAT) {
    throw new DataFolderError(
      `${folder} has data format ${found} and this Tribo reads ${DATA_FORMAT}: use the newer Tribo that wrote it, or set TRIBO_DATA_DIR to another folder`,
    );
  }
  for (let version = found; version < DATA_FORMAT; version++) {
    const step = migrations[version];
    if (!step) throw new DataFolderError(`no migration from data format ${version}`);
    step(folder);
    writeFormat(path, version + 1, softwareVersion);
  }
  if (!existsSync(path)) writeFormat(path, DATA_FORMAT, softwareVersion);
}

function writeFormat(path: string, format: number, createdBy: string): void {
  writeFileSync(`${path}.new`, `${JSON.stringify({ format, createdBy } satisfies Format)}\n`);
  renameSync(`${path}.new`, path);
}

/** One platform a folder. A lock whose process is gone is taken over: a crash leaves it behind. */
function takeLock(folder: string): () => void {
  const path = join(folder, LOCK_FILE);
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      writeFileSync(path, String(process.pid), { flag: 'wx' });
      return () => rmSync(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = Number(readFileSync(path, 'utf8'));
    if (holder !== process.pid && isTribo(holder)) {
      throw new DataFolderError(
        `${folder} is in use by another Tribo (process ${holder}): stop it, or set TRIBO_DATA_DIR to another folder`,
      );
    }
    rmSync(path, { force: true });
  }
  throw new DataFolderError(`${folder} is being taken by another Tribo at this moment: try again`);
}

/** A process id may have been given to another program since. */
function isTribo(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !existsSync('/proc/self/cmdline') || readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('tribo');
  } catch {
    return false;
  }
}
