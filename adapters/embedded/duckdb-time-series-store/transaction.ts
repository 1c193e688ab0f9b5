import type { DuckDBConnection } from '@duckdb/node-api';

/** Runs the statements in one transaction, and leaves none open when one of them fails: every later BEGIN of the connection would. */
export async function runInTransaction(connection: DuckDBConnection, statements: string): Promise<void> {
  try {
    await connection.run(`BEGIN; ${statements} COMMIT;`);
  } catch (error) {
    await connection.run('ROLLBACK').catch(() => undefined);
    throw error;
  }
}
