import { sql, type Kysely, type RawBuilder, type Transaction } from 'kysely';
import { PortError, type CallOptions } from '#core/errors.ts';
import type { Movable, MovedPage, MovedPart, MovedRow, MovedValue } from '#core/moving/movable.ts';
import { abortable } from './abortable.ts';
import { chunks } from './chunks.ts';
import type { Migration } from './migrate.ts';
import type { SqlDatabase } from './sql-database.ts';

/** A table that is moved, and how. */
export interface MovedTable {
  readonly name: string;
  readonly columns: readonly string[];
  /** Columns that are unique together, by which rows are read in order. */
  readonly order: readonly string[];
  /** It has one row from the beginning, in whose place the moved one comes. */
  readonly isSingle?: boolean;
  /** @throws PortError invalid_argument of a row that is not let in. */
  readonly require?: (values: MovedRow['values']) => void;
}

/** Moves the tables of a component in their order: rows of later ones may name rows of earlier ones. */
export class MovableTables<Schema> implements Movable {
  readonly form: string;
  readonly #database: SqlDatabase<Schema>;
  readonly #component: string;
  readonly #tables: readonly MovedTable[];

  constructor(
    database: SqlDatabase<Schema>,
    { component, migrations }: { readonly component: string; readonly migrations: readonly Migration[] },
    tables: readonly MovedTable[],
  ) {
    this.#database = database;
    this.#component = component;
    this.#tables = tables;
    this.form = `${component}/${migrations.length}`;
  }

  async countRows({ signal }: CallOptions = {}): Promise<number> {
    return abortable(signal, () => this.#count(this.#database.kysely));
  }

  async exportRows(
    { after, limit }: { readonly after?: string; readonly limit: number },
    { signal }: CallOptions = {},
  ): Promise<MovedPage> {
    return abortable(signal, async () => {
      const [from, key] = cursorOf(after);
      const rows: MovedRow[] = [];
      for (const [index, table] of this.#tables.entries()) {
        if (index < from) continue;
        const found = await read(this.#database.kysely, table, index === from ? key : [], limit - rows.length);
        rows.push(...found.map((values) => movedRow(table, values)));
        const last = found.at(-1);
        if (rows.length === limit && last) {
          return { rows, next: JSON.stringify([index, ...table.order.map((column) => last[column])]) };
        }
      }
      return { rows };
    });
  }

  async requireRoomFor(exportId: string, { signal }: CallOptions = {}): Promise<void> {
    await abortable(signal, () => this.#database.write('moving', (db) => this.#requireRoom(db, exportId)));
  }

  async importRows(
    { exportId, name }: MovedPart,
    rows: readonly MovedRow[],
    { signal }: CallOptions = {},
  ): Promise<boolean> {
    return abortable(signal, () =>
      this.#database.write('moving', async (db) => {
        await this.#requireRoom(db, exportId);
        const noted = await sql`insert into tribo_moved (component, export, part)
          values (${this.#component}, ${exportId}, ${name}) on conflict do nothing`.execute(db);
        if (noted.numAffectedRows === 0n) return false;
        for (const table of this.#tables) {
          const own = rows.filter((row) => row.table === table.name);
          for (const { values } of own) table.require?.(values);
          if (table.isSingle && own.length > 0) await sql`delete from ${sql.table(table.name)}`.execute(db);
          for (const some of chunks(own)) await insert(db, table, some);
        }
        this.#requireKnown(rows);
        return true;
      }),
    );
  }

  async #requireRoom(db: Transaction<Schema>, exportId: string): Promise<void> {
    await sql`create table if not exists tribo_moved (component text not null, export text not null, part text not null,
      primary key (component, export, part))`.execute(db);
    const { rows } = await sql`select 1 from tribo_moved where component = ${this.#component} and export = ${exportId}
      limit 1`.execute(db);
    if (rows.length === 0 && (await this.#count(db)) > 0)
      throw new PortError('already_exists', `${this.#component} is not empty: import into a site that never ran`);
  }

  async #count(db: Kysely<Schema>): Promise<number> {
    let count = 0;
    for (const { name, isSingle } of this.#tables) {
      if (isSingle) continue;
      const { rows } = await sql<{ rows: number | string }>`select count(*) as "rows" from ${sql.table(name)}`.execute(
        db,
      );
      count += Number(rows[0]!.rows);
    }
    return count;
  }

  #requireKnown(rows: readonly MovedRow[]): void {
    const unknown = rows.find(({ table }) => !this.#tables.some(({ name }) => name === table));
    if (unknown) throw new PortError('invalid_argument', `${this.form} has no table ${unknown.table}`);
  }
}

type Row = Readonly<Record<string, unknown>>;

async function read<Schema>(
  db: Kysely<Schema>,
  { name, columns, order }: MovedTable,
  after: readonly unknown[],
  limit: number,
): Promise<readonly Row[]> {
  const wanted = [...new Set([...columns, ...order])];
  const later = after.length === 0 ? sql`` : sql`where (${refs(order)}) > (${sql.join(after)})`;
  const { rows } = await sql<Row>`select ${refs(wanted)} from ${sql.table(name)} ${later}
    order by ${refs(order)} limit ${limit}`.execute(db);
  return rows;
}

async function insert<Schema>(
  db: Transaction<Schema>,
  { name, columns }: MovedTable,
  rows: readonly MovedRow[],
): Promise<void> {
  const tuples = rows.map(({ values }) => sql`(${sql.join(columns.map((column) => given(values, column)))})`);
  await sql`insert into ${sql.table(name)} (${refs(columns)}) values ${sql.join(tuples)}`.execute(db);
}

function movedRow({ name, columns }: MovedTable, row: Row): MovedRow {
  return { table: name, values: Object.fromEntries(columns.map((column) => [column, movedValue(row[column])])) };
}

function movedValue(value: unknown): MovedValue {
  if (value instanceof Uint8Array) return { base64: Buffer.from(value).toString('base64') };
  return value as string | number | null;
}

function given(values: MovedRow['values'], column: string): unknown {
  const value = values[column];
  if (value === undefined) throw new PortError('invalid_argument', `a moved row lacks its ${column}`);
  return typeof value === 'object' && value !== null ? Buffer.from(value.base64, 'base64') : value;
}

/** Which table comes next, and the key after which it goes on. */
function cursorOf(after: string | undefined): readonly [index: number, key: readonly unknown[]] {
  if (after === undefined) return [0, []];
  const [index, ...key] = JSON.parse(after) as [number, ...unknown[]];
  return [index, key];
}

function refs(columns: readonly string[]): RawBuilder<unknown> {
  return sql.join(columns.map((column) => sql.ref(column)));
}
