import type { PostgresPool } from 'kysely';
import type { Pool, PoolClient } from 'pg';
import { PortError } from '#core/errors.ts';
import { isOfServer, postgresPortError } from './postgres-errors.ts';

/** The pool as Kysely's dialect takes it: errors are port errors, and a connection that may be out of step is not used again. */
export function kyselyPool(pool: Pool): PostgresPool {
  return {
    options: {},
    connect: async () => {
      const client = await pool.connect().catch((error: unknown) => {
        throw postgresPortError(error);
      });
      return pooled(client) as unknown as Awaited<ReturnType<PostgresPool['connect']>>;
    },
    // The pool is ended by its last user.
    end: async () => undefined,
  };
}

function pooled(client: PoolClient) {
  let broken: PortError | undefined;
  return {
    query: async (text: string, values: readonly unknown[]) => {
      // The server has rolled back what a lost connection began; a second error would hide the first.
      if (broken && text === 'rollback') return { command: 'ROLLBACK', rowCount: 0, rows: [] };
      if (broken) throw broken;
      try {
        return await client.query(text, values as unknown[]);
      } catch (error) {
        const failure = postgresPortError(error);
        if (!isOfServer(error)) broken = failure;
        throw failure;
      }
    },
    release: (destroy = false) => client.release(destroy || broken !== undefined),
  };
}
