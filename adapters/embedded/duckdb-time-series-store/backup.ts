import { constants, copyFile, mkdir, open, rename } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { PortError } from '#core/errors.ts';
import type { Database } from './database.ts';
import type { Maintenance } from './maintenance.ts';

const CHECKPOINT_ATTEMPTS = 50;
const RETRY_MS = 100;

/**
 * Copies the file as its last checkpoint left it, while settlements go on into the write-ahead log. DuckDB writes new blocks beside those
 * in use and makes them count with the header, at a checkpoint: so with checkpoints held back the copied blocks do not change.
 */
export async function backUp(
  database: Database,
  maintenance: Maintenance,
  exclusively: (task: () => Promise<void>) => Promise<void>,
  folder: string,
): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const target = join(folder, basename(database.path));
  await database.maintenance.run(`SET GLOBAL checkpoint_threshold = '1TB'`);
  try {
    await exclusively(() => checkpointNow(maintenance));
    await copyFile(database.path, `${target}.unfinished`, constants.COPYFILE_FICLONE);
    await flush(`${target}.unfinished`);
    await rename(`${target}.unfinished`, target);
    await flush(folder);
  } finally {
    await database.maintenance.run(`SET GLOBAL checkpoint_threshold = '${database.checkpointThreshold}'`);
  }
}

/** A checkpoint has to wait for queries that still see a dropped table. */
async function checkpointNow(maintenance: Maintenance): Promise<void> {
  for (let attempt = 0; attempt < CHECKPOINT_ATTEMPTS; attempt++) {
    if (await maintenance.checkpoint()) return;
    await delay(RETRY_MS);
  }
  throw new PortError('unavailable', 'long queries keep the store from a checkpoint: try the backup again later');
}

async function flush(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
