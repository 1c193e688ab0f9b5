import { existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { open } from 'lmdb';
import { PortError } from '#core/errors.ts';

const GROUPS = 'groups';
const LOG = 'log';
/** Only addresses are taken. The file may grow while it is read, and LMDB cannot read beyond its map. */
const MAP_BYTES = 2 ** 37;

/**
 * Copies how far the groups of the streams have settled. It is taken before the consumers' own state, and that before the logs: so that
 * after a restore every group is given again whatever its consumers' state does not hold.
 */
export async function backUpGroups(directory: string, target: string): Promise<void> {
  for (const stream of await streamsIn(directory)) {
    const groups = join(directory, stream, GROUPS);
    const names = await namesIn(groups);
    // The declaration after the checkpoint would be one of a group that has none yet, which is as good.
    for (const ending of ['.declared', '.checkpoint'])
      for (const name of names.filter((each) => each.endsWith(ending)))
        await copySmall(join(groups, name), join(target, stream, GROUPS), name);
  }
}

/**
 * Copies the logs, each as of one commit, while publishers and consumers go on.
 * @throws PortError failed_precondition where a log has let go of events since {@link backUpGroups} that its groups would be given again.
 */
export async function backUpLogs(directory: string, target: string): Promise<void> {
  for (const stream of await streamsIn(directory)) {
    await backUpLog(join(directory, stream), join(target, stream), stream);
    await backUpNewGroups(join(directory, stream, GROUPS), join(target, stream, GROUPS));
  }
}

async function backUpLog(directory: string, target: string, stream: string): Promise<void> {
  const log = join(target, LOG);
  await mkdir(log, { recursive: true, mode: 0o700 });
  const source = open({ path: join(directory, LOG), readOnly: true, mapSize: MAP_BYTES });
  await source.backup(log, true).finally(() => source.close());
  const kept = await firstKeptPosition(log);
  const wanted = await lowestCheckpoint(join(target, GROUPS));
  if (kept > wanted)
    throw new PortError(
      'failed_precondition',
      `the stream ${stream} let go of events while the backup was taken, because it may hold no more: raise TRIBO_STREAM_MAX_BYTES, or take the backup when less comes in`,
    );
  await copyFile(join(directory, 'format'), join(target, 'format'));
}

/** A group that was declared meanwhile begins where it was declared: its consumers' state holds nothing yet. */
async function backUpNewGroups(groups: string, target: string): Promise<void> {
  const known = new Set(await namesIn(target));
  for (const name of await namesIn(groups))
    if (name.endsWith('.declared') && !known.has(name)) await copySmall(join(groups, name), target, name);
}

async function firstKeptPosition(log: string): Promise<number> {
  const copy = open({ path: log, readOnly: true });
  try {
    const meta = copy.openDB({ name: 'meta', encoding: 'binary', useVersions: true });
    // See the log file's head: commit, first position, next position, bytes.
    return meta.getBinary('head')?.readDoubleLE(8) ?? 0;
  } finally {
    await copy.close();
    await rm(join(log, 'lock.mdb'), { force: true });
  }
}

async function lowestCheckpoint(groups: string): Promise<number> {
  const names = (await namesIn(groups)).filter((name) => name.endsWith('.checkpoint'));
  const positions = await Promise.all(names.map(async (name) => Number(await readFile(join(groups, name), 'latin1'))));
  return Math.min(Infinity, ...positions);
}

/** Streams that were written to. */
async function streamsIn(directory: string): Promise<string[]> {
  return (await namesIn(directory)).filter((name) => existsSync(join(directory, name, 'format'))).sort();
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  });
}

/** A file that is replaced by renaming, read as one of its versions. */
async function copySmall(path: string, folder: string, name: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(join(folder, name), await readFile(path), { mode: 0o600 });
}
