import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { formatOf, DATA_FORMAT } from '#services/shared/process/data-format.ts';
import { bytesOf, filesBelow, sealFile, syncFolder, type OnBytes } from './copy-files.ts';
import { BackupError, DATA, MANIFEST, ManifestWriter, type BackupContent, type BackupSize } from './manifest.ts';

/** One of the stores in a data folder, and how it is copied while it goes on working. */
export interface BackupPart {
  readonly name: string;
  /** Where it is below the data folder: what it comes to is told from these. */
  readonly paths: readonly string[];
  /** Writes a copy of one state of it below `target`, at the same paths. A store that is not there yet gives nothing. */
  copy(target: string, onBytes: OnBytes, signal: AbortSignal): Promise<void>;
}

export interface BackupProgress {
  readonly doing: string;
  readonly doneBytes: number;
  /** An estimate: the stores grow meanwhile. */
  readonly totalBytes: number;
}

export interface TakeBackupOptions {
  readonly dataDir: string;
  /** Copied one after the other, in this order. */
  readonly parts: readonly BackupPart[];
  /** By port the adapter of what the site has elsewhere: noted, so that who restores it knows. */
  readonly elsewhere?: Readonly<Record<string, string>>;
  readonly createdBy: string;
  readonly now: () => Date;
  readonly onProgress: (progress: BackupProgress) => void;
  readonly signal: AbortSignal;
}

export interface TakenBackup extends BackupContent {
  readonly folder: string;
  readonly dataFormat: number;
}

/**
 * Takes a backup into a folder that must be absent or empty. It is made beside, checked off file by file into a manifest, and gets its name
 * when it is whole and on the disk: one that was cut off has neither name nor manifest, and the next attempt removes it.
 */
export async function takeBackup(folder: string, options: TakeBackupOptions): Promise<TakenBackup> {
  const { dataDir, parts, elsewhere = {}, createdBy, now, onProgress, signal } = options;
  await refuseUsedTarget(folder);
  const unfinished = `${folder}.unfinished`;
  await rm(unfinished, { recursive: true, force: true });
  const target = join(unfinished, DATA);
  await mkdir(target, { recursive: true, mode: 0o700 });
  try {
    const beganAt = now().toISOString();
    const dataFormat = formatOf(dataDir) ?? DATA_FORMAT;
    const progress = await progressOf(dataDir, parts, onProgress);
    for (const part of parts) await part.copy(target, progress.doing(part.name), signal);
    const manifest = await ManifestWriter.create(join(unfinished, `${MANIFEST}.unfinished`), {
      dataFormat,
      createdBy,
      beganAt,
      elsewhere,
    });
    let size: BackupSize;
    try {
      const onBytes = progress.doing('checksums');
      for await (const path of filesBelow(target))
        await manifest.add({ path, ...(await sealFile(join(target, path), onBytes, signal)) });
      size = await manifest.finish(now().toISOString());
    } finally {
      await manifest.close();
    }
    await rename(join(unfinished, `${MANIFEST}.unfinished`), join(unfinished, MANIFEST));
    await syncFolder(unfinished);
    await rename(unfinished, folder);
    await syncFolder(dirname(folder));
    return { folder, dataFormat, elsewhere, ...size };
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    throw error;
  }
}

async function refuseUsedTarget(folder: string): Promise<void> {
  if (!existsSync(folder)) return;
  const entries = await readdir(folder).catch(() => ['a file']);
  if (entries.length > 0)
    throw new BackupError(`${folder} is there already and not an empty folder: name another one for the backup`);
}

async function progressOf(
  dataDir: string,
  parts: readonly BackupPart[],
  onProgress: (progress: BackupProgress) => void,
): Promise<{ doing(name: string): OnBytes }> {
  let copies = 0;
  for (const part of parts) for (const path of part.paths) copies += await bytesOf(join(dataDir, path));
  // Everything is copied once and read once for its checksum.
  const totalBytes = 2 * copies;
  let doneBytes = 0;
  return {
    doing: (doing) => {
      onProgress({ doing, doneBytes, totalBytes });
      return (bytes) => {
        doneBytes += bytes;
        onProgress({ doing, doneBytes, totalBytes });
      };
    },
  };
}
