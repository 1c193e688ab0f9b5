import type { Pool } from 'pg';
import { ChangeChannel } from './change-channel.ts';
import { loadClients, type PasswordProvider, type PostgresClients } from './client.ts';
import { connectionOf, type PostgresConnection } from './connection-config.ts';

/** A database as this process reaches it: one pool and one ear for changes, shared by the adapters whose connection settings are equal. */
export class PostgresServer {
  static readonly #opened = new Map<string, Promise<PostgresServer>>();
  readonly pool: Pool;
  readonly changes: ChangeChannel;
  readonly connection: PostgresConnection;
  readonly #key: string;
  #users = 0;

  /** Connects to nothing yet. Each use is to be followed by a {@link release}. */
  static async use(settings: PostgresConnection, password?: PasswordProvider): Promise<PostgresServer> {
    const connection = connectionOf(settings);
    const key = JSON.stringify(connection);
    let opening = PostgresServer.#opened.get(key);
    if (!opening) {
      opening = loadClients(connection, password).then((clients) => new PostgresServer(connection, key, clients));
      PostgresServer.#opened.set(key, opening);
      opening.catch(() => PostgresServer.#opened.delete(key));
    }
    const server = await opening;
    server.#users++;
    return server;
  }

  private constructor(connection: PostgresConnection, key: string, clients: PostgresClients) {
    this.connection = connection;
    this.#key = key;
    this.pool = clients.pool;
    this.changes = new ChangeChannel(() => clients.connectApart());
  }

  /** Ends the connections with the last user; those in use once they are given back. */
  async release(): Promise<void> {
    if (--this.#users > 0) return;
    PostgresServer.#opened.delete(this.#key);
    await this.changes.close();
    await this.pool.end();
  }
}
