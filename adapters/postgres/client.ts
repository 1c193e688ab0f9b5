import { readFileSync } from 'node:fs';
import type { Client, ClientConfig, Pool } from 'pg';
import { PortError } from '#core/errors.ts';
import { loadSdk } from '../sdk.ts';
import type { PostgresConnection } from './connection-config.ts';

/** Of a client that waits for an answer longer than the server would let the statement run: the connection is dead. */
const ANSWER_AFTER_TIMEOUT_MS = 5_000;
const IDLE_MS = 30_000;
/** Of what is asked on the connection that is apart: to listen, and for signs of life. */
const APART_ANSWERS_WITHIN_MS = 5_000;
const BIGINT_OID = 20;

/** Asked for each new connection, where the password is a token that lives for minutes. Absent: `PGPASSWORD`, or what `PGPASSFILE` names. */
export type PasswordProvider = () => Promise<string>;

/** Connections to one database: a pool, and one that is apart from it, which is asked for little. */
export interface PostgresClients {
  readonly pool: Pool;
  connectApart(): Promise<Client>;
}

/** The library is loaded here and nowhere else. Nothing is connected yet. */
export async function loadClients(
  connection: PostgresConnection,
  password?: PasswordProvider,
): Promise<PostgresClients> {
  const { Client, Pool, TypeOverrides } = await loadSdk('PostgreSQL', async () => (await import('pg')).default);
  const types = new TypeOverrides();
  // Counts and times, all below 2^53: numbers, as SQLite gives them.
  types.setTypeParser(BIGINT_OID, safeInteger);
  const config: ClientConfig = { ...clientConfig(connection), ...(password && { password }), types };
  const pool = new Pool({ ...config, max: connection.maxConnections, idleTimeoutMillis: IDLE_MS });
  // A connection that ends is noticed by its next use, or by the pool: here it must only not end the process.
  pool.on('error', ignore);
  pool.on('connect', (client) => client.on('error', ignore));
  return {
    pool,
    connectApart: async () => {
      const client = new Client({ ...config, query_timeout: APART_ANSWERS_WITHIN_MS });
      client.on('error', ignore);
      await client.connect();
      return client;
    },
  };
}

function clientConfig({ tls, tlsCaFile, statementTimeoutMs, ...connection }: PostgresConnection): ClientConfig {
  const { host, port, database, user, schema, connectTimeoutMs } = connection;
  return {
    ...{ host, port, database, user },
    ssl: tls === 'verify-full' && {
      rejectUnauthorized: true,
      ...(tlsCaFile !== undefined && { ca: readCa(tlsCaFile) }),
    },
    application_name: 'tribo',
    // Settings of the session, so that no statement needs to name the schema.
    options: `-c search_path=${schema} -c idle_in_transaction_session_timeout=${statementTimeoutMs}`,
    statement_timeout: statementTimeoutMs,
    query_timeout: statementTimeoutMs + ANSWER_AFTER_TIMEOUT_MS,
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
  };
}

function readCa(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new PortError('failed_precondition', `tlsCaFile ${path} cannot be read: ${String(cause)}`, { cause });
  }
}

function safeInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new PortError('data_loss', `${text} is above what a number holds`);
  return value;
}

function ignore(): void {}
