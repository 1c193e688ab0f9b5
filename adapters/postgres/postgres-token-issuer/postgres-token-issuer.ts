import type { IssuerKeysParts } from '#adapters/sql/issuer-keys.ts';
import { SqlTokenIssuer } from '#adapters/sql/token-issuer.ts';
import { tokenTables, type TokenSchema } from '#adapters/sql/token-tables.ts';
import { connectionOf } from '../connection-config.ts';
import { PostgresDatabase } from '../postgres-database.ts';
import type { PostgresTokenIssuerConfig } from './config.ts';

/** The site's own issuer, whose tokens are listed and revoked in PostgreSQL: for all copies of the API at once. */
export class PostgresTokenIssuer extends SqlTokenIssuer {
  /** Makes what is not there yet. @throws PortError data_loss (damaged keys), unavailable (the secret store does not show them), and those of the stores. */
  static async open(config: PostgresTokenIssuerConfig, parts: IssuerKeysParts): Promise<PostgresTokenIssuer> {
    const database = await PostgresDatabase.open<TokenSchema>({ connection: connectionOf(config), ...tokenTables });
    const issuer = new PostgresTokenIssuer(database, config, parts);
    await issuer.start();
    return issuer;
  }
}
