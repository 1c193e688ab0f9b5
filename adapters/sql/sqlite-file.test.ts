import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { sql } from 'kysely';
import { until } from '#core/contracts/until.ts';
import type { Migration } from './migrate.ts';
import { SqliteFile } from './sqlite-file.ts';

interface Schema {
  part: { id: string; worn: number };
}

const first: Migration = {
  version: 1,
  up: async (db) => {
    await sql`create table part (id text primary key, worn integer not null)`.execute(db);
  },
};
const second: Migration = {
  version: 2,
  up: async (db) => {
    await sql`alter table part add column note text`.execute(db);
  },
};

let folder = '';
const opened: SqliteFile<Schema>[] = [];

async function open(migrations: readonly Migration[] = [first]): Promise<SqliteFile<Schema>> {
  const file = await SqliteFile.open<Schema>({
    path: join(folder, 'made', 'test.db'),
    component: 'parts',
    migrations,
    changePollMs: 10,
    busyTimeoutMs: 50,
  });
  opened.push(file);
  return file;
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tribo-sql-'));
});
afterEach(async () => {
  for (const file of opened.splice(0)) await file.close();
  rmSync(folder, { recursive: true });
});

const insert = (file: SqliteFile<Schema>, id: string) =>
  file.kysely.insertInto('part').values({ id, worn: 0 }).execute();
const count = async (file: SqliteFile<Schema>) =>
  (
    await file.kysely
      .selectFrom('part')
      .select(sql<number>`count(*)`.as('n'))
      .executeTakeFirstOrThrow()
  ).n;

describe('SQLite file', () => {
  it('makes its folder for its owner alone', async () => {
    await open();
    expect(statSync(join(folder, 'made')).mode & 0o777).toBe(0o700);
  });

  it('keeps what was committed for the next opening', async () => {
    const file = await open();
    await insert(file, 'a');
    await file.close();
    expect(await count(await open())).toBe(1);
  });

  it('migrates a file forward once, whoever opens it first', async () => {
    await insert(await open([first]), 'a');
    await Promise.all([open([first, second]), open([first, second])]);
    expect(await count(await open([first, second]))).toBe(1);
  });

  it('refuses a file that a newer release has written', async () => {
    await open([first, second]);
    await expect(open([first])).rejects.toMatchObject({ code: 'failed_precondition' });
  });

  it('leaves nothing of a migration that failed', async () => {
    const broken: Migration = {
      version: 1,
      up: async (db, types) => {
        await first.up(db, types);
        throw new Error('power cut');
      },
    };
    await expect(open([broken])).rejects.toThrow('power cut');
    expect(await count(await open([first]))).toBe(0);
  });

  it('rolls back a write whose work throws, and goes on working', async () => {
    const file = await open();
    const failing = file.write('part', async (db) => {
      await db.insertInto('part').values({ id: 'a', worn: 0 }).execute();
      throw new Error('changed my mind');
    });
    await expect(failing).rejects.toThrow('changed my mind');
    expect(await count(file)).toBe(0);
    await insert(file, 'b');
    expect(await count(file)).toBe(1);
  });

  it('keeps a write out of another caller’s transaction', async () => {
    const file = await open();
    const order: string[] = [];
    await Promise.all([
      file.kysely.transaction().execute(async (transaction) => {
        await transaction.insertInto('part').values({ id: 'a', worn: 0 }).execute();
        await sleep(20);
        order.push('transaction');
      }),
      file.write('part', async () => order.push('write')),
    ]);
    expect(order).toEqual(['transaction', 'write']);
  });

  it.each([
    ['a second row of one key', 'already_exists', (file: SqliteFile<Schema>) => insert(file, 'a')],
    ['a statement that is no SQL', 'internal', (file: SqliteFile<Schema>) => sql`selec 1`.execute(file.kysely)],
  ] as const)('reports %s as %s', async (_reason, code, act) => {
    const file = await open();
    await insert(file, 'a');
    await expect(act(file)).rejects.toMatchObject({ name: 'PortError', code });
  });

  it('reports a lock that another process keeps too long as unavailable', async () => {
    const [one, other] = [await open(), await open()];
    await one.kysely.transaction().execute(async () => {
      await expect(insert(other, 'b')).rejects.toMatchObject({ code: 'unavailable' });
    });
    await insert(other, 'b');
  });

  it('tells of commits that another connection made', async () => {
    const [one, other] = [await open(), await open()];
    let seen = 0;
    const stop = one.onChange(() => seen++);
    await insert(other, 'a');
    await until(() => seen > 0);
    expect(seen).toBe(1);
    stop();
  });
});
