import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { ClientBase } from 'pg';
import { z } from 'zod';
import { PortError } from '#core/errors.ts';
import { copyFrom, copyTo } from './copy.ts';
import { makeDay, makePart, partsOf } from './partitions.ts';
import { raiseVersion } from './settler.ts';
import { timeSeriesTables } from './schema.ts';

const FOLDER = 'timeseries-postgres';
const MANIFEST = 'manifest.json';

const manifestSchema = z.strictObject({
  /** Of the tables, as schema.ts counts. */
  version: z.int(),
  days: z.array(z.int()),
  minuteParts: z.array(z.int()),
  hourParts: z.array(z.int()),
});

const TABLES = [
  ...[
    'ts_machines',
    'ts_series',
    'ts_ledger_state',
    'ts_readings',
    'ts_events',
    'ts_days',
    'ts_rollups_1m',
    'ts_rollups_1h',
  ],
  ...[
    'ts_revisits',
    'ts_latest',
    'ts_waveforms',
    'ts_documents',
    'ts_rejections',
    'ts_dead_letters',
    'ts_orphaned_objects',
    'ts_moved_parts',
  ],
];

/** Writes all tables as one state, which the client's transaction sees, below the folder; nobody waits for it. */
export async function backUp(client: ClientBase, folder: string): Promise<void> {
  const unfinished = join(folder, `${FOLDER}.unfinished`);
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { recursive: true, mode: 0o700 });
  for (const table of TABLES) {
    const file = createWriteStream(join(unfinished, `${table}.copy`), { flush: true });
    await pipeline(await copyTo(client, `(SELECT * FROM ${table})`, 'binary'), file);
  }
  const { rows } = await client.query('SELECT day FROM ts_days ORDER BY day');
  const manifest: z.infer<typeof manifestSchema> = {
    version: timeSeriesTables.migrations.length,
    days: (rows as { day: number }[]).map(({ day }) => day),
    minuteParts: await partsOf(client, '1m'),
    hourParts: await partsOf(client, '1h'),
  };
  await writeFile(join(unfinished, MANIFEST), JSON.stringify(manifest), { flush: true });
  await flushFolder(unfinished);
  await rm(join(folder, FOLDER), { recursive: true, force: true });
  await rename(unfinished, join(folder, FOLDER));
  await flushFolder(folder);
}

/** Reads a backup into tables that are empty, in the client's open transaction. @throws PortError failed_precondition, not_found. */
export async function restore(client: ClientBase, folder: string): Promise<void> {
  const from = join(folder, FOLDER);
  const manifest = await readManifest(from);
  const found = await client.query('SELECT EXISTS (SELECT FROM ts_ledger_state) AS used');
  if ((found.rows as { used: boolean }[])[0]!.used) {
    throw new PortError('failed_precondition', 'the time-series tables hold data: restore into another schema');
  }
  for (const part of manifest.minuteParts) await makePart(client, '1m', part);
  for (const part of manifest.hourParts) await makePart(client, '1h', part);
  for (const day of manifest.days) await makeDay(client, day);
  for (const table of TABLES) {
    await pipeline(createReadStream(join(from, `${table}.copy`)), await copyFrom(client, table, 'binary'));
  }
  await raiseVersion(client);
}

async function readManifest(from: string): Promise<z.infer<typeof manifestSchema>> {
  const text = await readFile(join(from, MANIFEST), 'utf8').catch((cause: unknown) => {
    throw new PortError('not_found', `there is no backup of a time-series store in ${from}`, { cause });
  });
  const manifest = manifestSchema.parse(JSON.parse(text));
  const version = timeSeriesTables.migrations.length;
  if (manifest.version !== version) {
    throw new PortError(
      'failed_precondition',
      `the backup has tables of version ${manifest.version}, this release has ${version}: restore it with its own release`,
    );
  }
  return manifest;
}

async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
