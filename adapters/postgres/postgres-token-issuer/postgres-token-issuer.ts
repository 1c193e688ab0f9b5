import { SqlTokenIssuer, tokenTables, type IssuerParts, type TokenSchema } from '#adapters/sql/token-issuer.ts';
import { connectionOf } from '../connection-config.ts';
import { PostgresDatabase } from '../postgres-database.ts';
import type { PostgresTokenIssuerConfig } from './config.ts';

/** The site's own issuer, whose tokens are listed and revoked in PostgreSQL: for all copies of the API at once. */
export class PostgresTokenIssuer extends SqlTokenIssuer {
  /** Makes what is not there yet. @throws PortError data_loss (damaged keys), and those of the stores. */
  static async open(config: PostgresTokenIssuerConfig, parts: IssuerParts): Promise<PostgresTokenIssuer> {
    const database = await PostgresDatabase.open<TokenSchema>({ connection: connectionOf(config), ...tokenTables });
    const issuer = new PostgresTokenIssuer(database, config, parts);
    await issuer.start();
    return issuer;
  }
}
