import { CompiledQuery, type Compilable, type Transaction } from 'kysely';

/** Statements of more rows are compiled each time: their rows take longer than that. */
const MAX_KEPT_ROWS = 100;

/** Statements of a hot path, each compiled once for a number of rows: for few rows, building and compiling it take longer than SQLite takes to run it. */
export class CompiledOnce<Schema> {
  readonly #sql = new Map<string, string>();

  /** `name` says which statement it is; the `parameters` are those of its `rows`, in the order in which `build` names them. */
  async execute<Row>(
    db: Transaction<Schema>,
    { name, rows, parameters }: { readonly name: string; readonly rows: number; readonly parameters: unknown[] },
    build: () => Compilable<Row>,
  ): Promise<readonly Row[]> {
    const key = `${name} ${rows}`;
    const text = this.#sql.get(key) ?? build().compile().sql;
    if (rows <= MAX_KEPT_ROWS) this.#sql.set(key, text);
    return (await db.executeQuery<Row>(CompiledQuery.raw(text, parameters))).rows;
  }
}
