import { hash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DuckDbTimeSeriesStore } from '#adapters/embedded/duckdb-time-series-store/duckdb-time-series-store.ts';
import { postgresTimeSeriesStoreConfigSchema } from '#adapters/postgres/postgres-time-series-store/config.ts';
import { PostgresTimeSeriesStore } from '#adapters/postgres/postgres-time-series-store/postgres-time-series-store.ts';
import { fillRichly, historyAnswers, movableHistoryContract } from '#core/contracts/movable-history.contract.ts';
import type { MovableHistory } from '#core/moving/movable-history.ts';
import { Postgres } from '#test/peers/postgres.ts';
import { describeContract } from '#test/support/describe-contract.ts';

let postgres: Postgres;
let directory: string;

beforeAll(async () => {
  postgres = await Postgres.start();
  directory = await mkdtemp(join(tmpdir(), 'tribo-moving-'));
}, 300_000);
afterAll(async () => {
  await postgres[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

const folder = () => mkdtemp(join(directory, 'folder-'));
const inFile = async () => DuckDbTimeSeriesStore.open({ directory: await folder() });
const inServer = (connection = postgres.freshConnection()) =>
  PostgresTimeSeriesStore.open(postgresTimeSeriesStoreConfigSchema.parse({ ...connection, rollUpAfterMs: 0 }));

async function makeHarness() {
  const store = await inFile();
  const connection = postgres.freshConnection();
  let elsewhere = await inServer(connection);
  return {
    store,
    elsewhere,
    folder,
    readFile,
    writeFile,
    reopenElsewhere: async () => {
      await elsewhere.close();
      return (elsewhere = await inServer(connection));
    },
    [Symbol.asyncDispose]: async () => {
      for (const each of [store, elsewhere]) await each.close();
    },
  };
}

describeContract(movableHistoryContract, 'DuckDB to PostgreSQL', makeHarness);

async function move(from: MovableHistory, to: MovableHistory): Promise<unknown> {
  const place = await folder();
  const checksums: unknown[] = [];
  for (const name of await from.parts()) {
    const file = join(place, name);
    checksums.push([name, await from.exportPart(name, file), hash('sha256', await readFile(file))]);
    expect(await to.importPart(name, `${place} ${name}`, file)).toBe(true);
  }
  return checksums;
}

describe('the history of a site', () => {
  it('is the same files and answers after its move from DuckDB to PostgreSQL, back, and to PostgreSQL again', async () => {
    const [first, third] = [await inFile(), await inFile()];
    const [second, fourth] = [await inServer(), await inServer()];
    await fillRichly(first);
    const checksums = await move(first.movableHistory, second.movableHistory);
    const answers = await historyAnswers(first);
    expect(await move(second.movableHistory, third.movableHistory)).toEqual(checksums);
    expect(await move(third.movableHistory, fourth.movableHistory)).toEqual(checksums);
    for (const each of [second, third, fourth]) expect(await historyAnswers(each)).toEqual(answers);
    for (const each of [first, second, third, fourth]) await each.close();
  });

  it('that began in PostgreSQL is the same files after its move to DuckDB', async () => {
    const [first, second, third] = [await inServer(), await inFile(), await inServer()];
    await fillRichly(first);
    const checksums = await move(first.movableHistory, second.movableHistory);
    expect(await move(second.movableHistory, third.movableHistory)).toEqual(checksums);
    expect(await historyAnswers(second)).toEqual(await historyAnswers(first));
    for (const each of [first, second, third]) await each.close();
  });
});
