import type { IssuerKeysParts } from '#adapters/sql/issuer-keys.ts';
import { SqliteFile } from '#adapters/sql/sqlite-file.ts';
import { SqlTokenIssuer } from '#adapters/sql/token-issuer.ts';
import { tokenTables, type TokenSchema } from '#adapters/sql/token-tables.ts';
import type { LocalTokenIssuerConfig } from './config.ts';

/** The site's own issuer, whose tokens are listed and revoked in a SQLite file that several processes may open. */
export class LocalTokenIssuer extends SqlTokenIssuer {
  /** Makes what is not there yet. @throws PortError data_loss (damaged keys), unavailable (the secret store does not show them), and those of the stores. */
  static async open(config: LocalTokenIssuerConfig, parts: IssuerKeysParts): Promise<LocalTokenIssuer> {
    const file = await SqliteFile.open<TokenSchema>({ path: config.databasePath, ...tokenTables });
    const issuer = new LocalTokenIssuer(file, config, parts);
    await issuer.start();
    return issuer;
  }
}
