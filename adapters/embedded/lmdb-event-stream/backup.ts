import { copyFile, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PortError } from '#core/errors.ts';
import { GroupFiles } from './group-files.ts';
import { LogFile } from './log-file.ts';

const GROUPS = 'groups';
/** Addresses only: the file may grow while it is read, and LMDB cannot read beyond its map. */
const MAP_BYTES = 2 ** 37;

/**
 * Copies how far the groups of the streams have settled. It is taken before the consumers' own state, and that before the logs: so that
 * after a restore every group is given again whatever its consumers' state does not hold.
 */
export async function backUpGroups(directory: string, target: string): Promise<void> {
  for (const stream of await namesIn(directory)) {
    const groups = join(directory, stream, GROUPS);
    const names = await namesIn(groups);
    for (const name of names.filter((each) => each.endsWith('.declared') || each.endsWith('.checkpoint')))
      await copySmall(groups, join(target, stream, GROUPS), name);
  }
}

/**
 * Copies the logs, each as of one commit, while publishers and consumers go on.
 * @throws PortError failed_precondition where a log has let go of events since {@link backUpGroups} that a group would be given again.
 */
export async function backUpLogs(directory: string, target: string): Promise<void> {
  for (const stream of await namesIn(directory)) {
    const copy = join(target, stream);
    if (!(await copyLog(join(directory, stream), copy))) continue;
    await refuseGap(copy, stream);
    await backUpNewGroups(join(directory, stream, GROUPS), join(copy, GROUPS));
  }
}

async function copyLog(directory: string, copy: string): Promise<boolean> {
  const log = await openLog(directory);
  return log.copyTo(copy).finally(() => log.release());
}

/** Also proves that the copy can be read. */
async function refuseGap(copy: string, stream: string): Promise<void> {
  const log = await openLog(copy);
  const { firstPosition } = log.readHead();
  await log.release();
  await rm(join(copy, 'log', 'lock.mdb'), { force: true });
  if (firstPosition <= (new GroupFiles(join(copy, GROUPS)).readLowestCheckpoint() ?? Infinity)) return;
  throw new PortError(
    'failed_precondition',
    `the stream ${stream} let go of events while the backup was taken, because it may hold no more: raise TRIBO_STREAM_MAX_BYTES, or take the backup when less comes in`,
  );
}

/** A group that was declared meanwhile begins where it was declared: its consumers' state holds nothing yet. */
async function backUpNewGroups(groups: string, target: string): Promise<void> {
  const known = new Set(await namesIn(target));
  for (const name of await namesIn(groups))
    if (name.endsWith('.declared') && !known.has(name)) await copySmall(groups, target, name);
}

function openLog(directory: string): Promise<LogFile> {
  return LogFile.open({ directory, mapSize: MAP_BYTES, freeSpaceReserveBytes: 0 });
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  });
}

/** A file that is replaced by renaming is one of its versions. */
async function copySmall(from: string, to: string, name: string): Promise<void> {
  await mkdir(to, { recursive: true, mode: 0o700 });
  await copyFile(join(from, name), join(to, name));
}
