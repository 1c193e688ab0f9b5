import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { DuckDBInstance } from '@duckdb/node-api';
import { DuckDbTimeSeriesStore } from './duckdb-time-series-store.ts';
import { SCHEMA_VERSION } from './schema.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tribo-format-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function inFile(sql: string): Promise<unknown[][]> {
  const instance = await DuckDBInstance.create(join(directory, 'timeseries.duckdb'));
  const connection = await instance.connect();
  const result = await connection.runAndReadAll(sql);
  connection.closeSync();
  instance.closeSync();
  return result.getRows();
}

describe('the format of the file', () => {
  it('is written with its version', async () => {
    await (await DuckDbTimeSeriesStore.open({ directory })).close();
    expect(await inFile('SELECT max(version) FROM schema_version')).toEqual([[SCHEMA_VERSION]]);
  });

  it('is refused when a newer Tribo wrote it, and left as it is', async () => {
    await (await DuckDbTimeSeriesStore.open({ directory })).close();
    await inFile(`INSERT INTO schema_version VALUES (${SCHEMA_VERSION + 1})`);
    await expect(DuckDbTimeSeriesStore.open({ directory })).rejects.toMatchObject({
      code: 'failed_precondition',
      message: expect.stringContaining('start the newer Tribo, or restore a backup'),
    });
    expect(await inFile('SELECT max(version) FROM schema_version')).toEqual([[SCHEMA_VERSION + 1]]);
  });

  it('is begun anew where opening was cut off before the first step', async () => {
    await inFile('CREATE TABLE schema_version (version INTEGER)');
    const store = await DuckDbTimeSeriesStore.open({ directory });
    expect(await store.settled()).toEqual([]);
    await store.close();
  });

  it('is refused where the file is something else', async () => {
    const { writeFile } = await import('node:fs/promises');
    await writeFile(join(directory, 'timeseries.duckdb'), 'this is no database');
    await expect(DuckDbTimeSeriesStore.open({ directory })).rejects.toMatchObject({ code: 'data_loss' });
  });
});
