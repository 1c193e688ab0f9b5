import { lstatSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { refuseNewerFormat } from '#services/shared/process/data-format.ts';
import { restoredFolder } from '../folder-swap.ts';
import { copyFileSynced, digestOf, syncFolder, type OnBytes } from './copy-files.ts';
import { BackupError, DATA, manifestFiles, readManifest, type BackupContent, type ManifestFile } from './manifest.ts';

export interface StageOptions {
  readonly onProgress: (progress: { readonly doneBytes: number; readonly totalBytes: number }) => void;
  readonly signal: AbortSignal;
}

/** Reads every file of a backup and compares it with the manifest. @throws BackupError naming the file that differs. */
export async function checkBackup(backup: string, { onProgress, signal }: StageOptions): Promise<BackupContent> {
  const content = await manifestOfThisTribo(backup);
  const onBytes = counting(content.bytes, onProgress);
  for await (const file of manifestFiles(backup)) {
    const path = regularFile(backup, file);
    compare(file, await digestOf(path, onBytes, signal));
  }
  return content;
}

/**
 * Copies a backup beside the data folder that it is to replace, comparing every byte with the manifest on the way. Returns once the copy is
 * whole, on the disk, and has the name that {@link restoredFolder} gives; whatever fails leaves nothing behind.
 */
export async function stageRestore(
  backup: string,
  dataDir: string,
  { onProgress, signal }: StageOptions,
): Promise<BackupContent> {
  const content = await manifestOfThisTribo(backup);
  const staging = `${dataDir}.restoring`;
  const restored = restoredFolder(dataDir);
  for (const old of [staging, restored]) await rm(old, { recursive: true, force: true });
  await mkdir(staging, { recursive: true, mode: 0o700 });
  try {
    const onBytes = counting(content.bytes, onProgress);
    for await (const file of manifestFiles(backup)) {
      const copied = await copyFileSynced(regularFile(backup, file), join(staging, file.path), onBytes, signal);
      compare(file, copied);
    }
    await syncFolder(staging);
    await rename(staging, restored);
    await syncFolder(dirname(restored));
    return content;
  } catch (error) {
    await rm(staging, { recursive: true, force: true });
    throw error;
  }
}

async function manifestOfThisTribo(backup: string): Promise<BackupContent> {
  const { dataFormat, files, bytes, elsewhere } = await readManifest(backup);
  refuseNewerFormat(backup, dataFormat);
  return { files, bytes, elsewhere };
}

function counting(totalBytes: number, onProgress: StageOptions['onProgress']): OnBytes {
  let doneBytes = 0;
  return (bytes) => {
    doneBytes += bytes;
    onProgress({ doneBytes, totalBytes });
  };
}

/** Links are not followed: a backup from elsewhere must not make us read what it does not hold. */
function regularFile(backup: string, { path }: ManifestFile): string {
  const at = join(backup, DATA, path);
  let folder = join(backup, DATA);
  for (const name of path.split('/')) {
    folder = join(folder, name);
    const found = lstatSync(folder, { throwIfNoEntry: false });
    if (!found) throw new BackupError(`${backup} is damaged: ${DATA}/${path} is missing`);
    if (folder === at ? !found.isFile() : !found.isDirectory())
      throw new BackupError(`${backup} is damaged: ${DATA}/${path} is not a regular file`);
  }
  return at;
}

function compare(expected: ManifestFile, found: { bytes: number; sha256: string } | undefined): void {
  if (found?.bytes === expected.bytes && found.sha256 === expected.sha256) return;
  const what = found?.bytes === expected.bytes ? 'its content' : `its size, ${found?.bytes ?? 0} bytes`;
  throw new BackupError(`the backup is damaged: ${DATA}/${expected.path} is not what was backed up, by ${what}`);
}
