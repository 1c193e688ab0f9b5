import { SqliteFile } from '#adapters/sql/sqlite-file.ts';
import { SqlTokenIssuer, tokenTables, type IssuerParts, type TokenSchema } from '#adapters/sql/token-issuer.ts';
import type { LocalTokenIssuerConfig } from './config.ts';

/** The site's own issuer, whose tokens are listed and revoked in a SQLite file that several processes may open. */
export class LocalTokenIssuer extends SqlTokenIssuer {
  /** Makes what is not there yet. @throws PortError data_loss (damaged keys), and those of the stores. */
  static async open(config: LocalTokenIssuerConfig, parts: IssuerParts): Promise<LocalTokenIssuer> {
    const file = await SqliteFile.open<TokenSchema>({ path: config.databasePath, ...tokenTables });
    const issuer = new LocalTokenIssuer(file, config, parts);
    await issuer.start();
    return issuer;
  }
}
