import { Postgres } from './postgres.ts';
import { TcpFaults } from './tcp-faults.ts';

/** A server of PostgreSQL, and the wire to it, which can be cut and held. */
export class PostgresOnAWire implements AsyncDisposable {
  readonly wire: TcpFaults;
  readonly server: Postgres;

  static async start(): Promise<PostgresOnAWire> {
    const postgres = await Postgres.start();
    return new PostgresOnAWire(postgres, await TcpFaults.start(postgres));
  }

  private constructor(postgres: Postgres, wire: TcpFaults) {
    this.server = postgres;
    this.wire = wire;
  }

  /** Over the wire, to a schema of its own. */
  freshConnection() {
    return { ...this.server.freshConnection(), port: this.wire.port };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.wire[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
  }
}
