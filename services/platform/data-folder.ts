import { chmodSync, existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  DATA_FORMAT,
  DataFolderError,
  FORMAT_FILE,
  formatOf,
  refuseHalfImported,
  refuseNewerFormat,
  type DataFormat,
} from '#services/shared/process/data-format.ts';
import { lockDataFolder } from '#services/shared/process/folder-locks.ts';
import { finishSwap } from './folder-swap.ts';

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
  /** Whether it is opened to import a site, and so also to go on with that. */
  readonly toImport?: boolean;
}

/**
 * Makes the folder on first use, refuses one that a newer Tribo wrote or that is half imported, migrates an older one, and takes it for this process.
 * Returns how to give it back.
 */
export function openDataFolder(
  folder: string,
  softwareVersion: string,
  { formats = FORMATS, notice = (message) => process.stderr.write(`${message}\n`), toImport = false }: OpenOptions = {},
): () => void {
  finishSwap(folder);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
  const release = lockDataFolder(folder);
  try {
    if (!toImport) refuseHalfImported(folder);
    migrate(folder, softwareVersion, formats, notice);
  } catch (error) {
    release();
    throw error;
  }
  return release;
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
