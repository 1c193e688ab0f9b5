import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { sql } from 'kysely';
import { until } from '#core/contracts/until.ts';
import { Postgres } from '#test/peers/postgres.ts';
import type { Migration } from '../sql/migrate.ts';
import { connectionOf } from './connection-config.ts';
import { PostgresDatabase } from './postgres-database.ts';
import { PostgresServer } from './postgres-server.ts';

interface Schema {
  part: { id: string; worn: number };
}

const first: Migration = {
  version: 1,
  up: async (db, { text }) => {
    await sql`create table part (id ${text} primary key, worn bigint not null)`.execute(db);
  },
};
const second: Migration = {
  version: 2,
  up: async (db, { text }) => {
    await sql`alter table part add column note ${text}`.execute(db);
  },
};

let postgres: Postgres;
beforeAll(async () => {
  postgres = await Postgres.start();
}, 300_000);
afterAll(() => postgres[Symbol.asyncDispose]());

type Given = Parameters<typeof connectionOf>[0];

const open = (connection: Given, migrations = [first]) =>
  PostgresDatabase.open<Schema>({ connection: connectionOf(connection), component: 'parts', migrations });
const openFresh = (given: Partial<Given> = {}) =>
  postgres.openInSchema((connection) => open({ ...connection, ...given }));
const insert = (database: PostgresDatabase<Schema>, id: string, worn = 0) =>
  database.write(id, (db) => db.insertInto('part').values({ id, worn }).execute());

describe('PostgreSQL database', () => {
  it('is migrated forward once, whoever opens it first', async () => {
    const connection = postgres.freshConnection();
    await using opened = await postgres.openInSchema(() => open(connection));
    await insert(opened.store, 'a');
    const both = () => postgres.openInSchema(() => open(connection, [first, second]));
    for (const each of await Promise.all([both(), both(), both()])) {
      expect(await each.store.kysely.selectFrom('part').selectAll().execute()).toEqual([
        { id: 'a', worn: 0, note: null },
      ]);
      await each[Symbol.asyncDispose]();
    }
    await expect(open(connection)).rejects.toMatchObject({ code: 'failed_precondition' });
  });

  it('sorts text by its bytes, and gives large integers as numbers', async () => {
    await using opened = await openFresh();
    for (const [at, id] of ['b', 'a', '_', 'é', 'B', 'A'].entries()) await insert(opened.store, id, 2 ** 40 + at);
    const rows = await opened.store.kysely.selectFrom('part').selectAll().orderBy('id').execute();
    expect(rows.map(({ id }) => id)).toEqual(['A', 'B', '_', 'a', 'b', 'é']);
    expect(rows[0]!.worn).toBe(2 ** 40 + 5);
    const { rows: total } = await sql<{ n: number }>`select count(*) as n from part`.execute(opened.store.kysely);
    expect(total).toEqual([{ n: 6 }]);
  });

  it('lets transactions of one lock read and decide one after another', async () => {
    await using opened = await openFresh();
    await insert(opened.store, 'a');
    const clients = [opened.store, await opened.reopen(), await opened.reopen()];
    const wear = (database: PostgresDatabase<Schema>) =>
      database.write('part a', async (db) => {
        const { worn } = await db.selectFrom('part').selectAll().where('id', '=', 'a').executeTakeFirstOrThrow();
        await db
          .updateTable('part')
          .set({ worn: worn + 1 })
          .where('id', '=', 'a')
          .execute();
      });
    await Promise.all(Array.from({ length: 60 }, (_, at) => wear(clients[at % 3]!)));
    const { worn } = await opened.store.kysely.selectFrom('part').selectAll().executeTakeFirstOrThrow();
    expect(worn).toBe(60);
  });

  it('rolls back what throws, and goes on working', async () => {
    await using opened = await openFresh();
    await insert(opened.store, 'a');
    await expect(insert(opened.store, 'a')).rejects.toMatchObject({ code: 'already_exists' });
    const failing = opened.store.write('b', async (db) => {
      await db.insertInto('part').values({ id: 'b', worn: 0 }).execute();
      throw new Error('changed my mind');
    });
    await expect(failing).rejects.toThrow('changed my mind');
    expect(await opened.store.kysely.selectFrom('part').selectAll().execute()).toHaveLength(1);
  });

  it('waits for no disk where it is relaxed, and only there', async () => {
    const connection = connectionOf(postgres.freshConnection());
    const options = { connection, component: 'parts', migrations: [first] };
    await using full = await postgres.openInSchema(() => PostgresDatabase.open<Schema>(options));
    await using relaxed = await postgres.openInSchema(() =>
      PostgresDatabase.open<Schema>({ ...options, durability: 'relaxed' }),
    );
    const waits = ({ store }: typeof full) =>
      store.write('part', async (db) => (await sql`show synchronous_commit`.execute(db)).rows);
    expect(await waits(relaxed)).toEqual([{ synchronous_commit: 'off' }]);
    expect(await waits(full)).toEqual([{ synchronous_commit: 'on' }]);
  });

  it('tells another process of changes, and no listener of what was rolled back', async () => {
    // Other settings, so that they share no connections: as two processes do.
    const connection = postgres.freshConnection();
    await using opened = await postgres.openInSchema(() => open(connection));
    await using other = await postgres.openInSchema(() => open({ ...connection, maxConnections: 3 }));
    let told = 0;
    const stop = other.store.onChange(() => told++);
    // The first call says that from here on changes are heard.
    await until(() => told === 1, 'listening');
    await insert(opened.store, 'a');
    await until(() => told === 2, 'told of the change');
    await expect(insert(opened.store, 'a')).rejects.toMatchObject({ code: 'already_exists' });
    await insert(opened.store, 'b');
    await until(() => told === 3, 'told of the next change only');
    stop();
  });

  it('outlives a restart of the server: calls fail as unavailable, and listeners are told once it is back', async () => {
    await using opened = await openFresh({ connectTimeoutMs: 1_000 });
    const { store } = opened;
    let told = 0;
    store.onChange(() => told++);
    await until(() => told === 1, 'listening');
    const lost = store.write('a', async (db) => {
      await db.insertInto('part').values({ id: 'lost', worn: 0 }).execute();
      await postgres.restart();
      await db.insertInto('part').values({ id: 'too', worn: 0 }).execute();
    });
    await expect(lost).rejects.toMatchObject({ code: 'unavailable' });
    await until(
      async () =>
        insert(store, `a${told}`).then(
          () => true,
          () => false,
        ),
      'writing again',
    );
    const rows = await store.kysely.selectFrom('part').select('id').execute();
    expect(rows.map(({ id }) => id)).not.toContain('lost');
    const before = told;
    await until(() => told > before, 'told after the connection was back');
  });

  it('ends a statement that takes too long, and stays usable', async () => {
    await using opened = await openFresh({ statementTimeoutMs: 200, maxConnections: 1 });
    const { kysely } = opened.store;
    await expect(sql`select pg_sleep(60)`.execute(kysely)).rejects.toMatchObject({ code: 'deadline_exceeded' });
    await expect(sql`select 1`.execute(kysely)).resolves.toMatchObject({ rows: [{}] });
  });

  it('says that no connection is free, and that it is closed', async () => {
    await using opened = await openFresh({ maxConnections: 1, connectTimeoutMs: 300 });
    const { kysely } = opened.store;
    await kysely.transaction().execute(async () => {
      await expect(sql`select 1`.execute(kysely)).rejects.toMatchObject({ code: 'unavailable' });
    });
    await opened.store.close();
    expect(() => opened.store.kysely).toThrow(expect.objectContaining({ code: 'failed_precondition' }));
  });

  it.each<[string, Partial<Given>, string]>([
    ['a server that is not there', { port: 1 }, 'unavailable'],
    ['a database that is not there', { database: 'nobodys' }, 'failed_precondition'],
    ['a user that is not there', { user: 'nobody' }, 'permission_denied'],
    ['a server without TLS', { tls: 'verify-full' }, 'failed_precondition'],
    [
      'a file of authorities that is not there',
      { tlsCaFile: '/nobodys/ca.pem', tls: 'verify-full' },
      'failed_precondition',
    ],
  ])('says what is wrong with %s', async (_what, given, code) => {
    await expect(openFresh(given)).rejects.toMatchObject({ code });
  });

  it('asks for the password of each new connection where one is provided', async () => {
    let asked = 0;
    const connection = connectionOf(postgres.freshConnection());
    const password = async () => (asked++, 'not this one');
    const opening = PostgresDatabase.open({ connection, password, component: 'parts', migrations: [first] });
    await expect(opening).rejects.toMatchObject({ code: 'permission_denied' });
    expect(asked).toBe(1);
  });

  it('shares the connections of equal settings, and ends them with the last user', async () => {
    const connection = connectionOf(postgres.freshConnection());
    const [one, two] = [await PostgresServer.use(connection), await PostgresServer.use({ ...connection })];
    expect(one.pool).toBe(two.pool);
    await one.release();
    await expect(two.pool.query('select 1')).resolves.toMatchObject({ rowCount: 1 });
    await two.release();
    expect(two.pool.ended).toBe(true);
  });
});
