import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { SqliteFile } from '#adapters/sql/sqlite-file.ts';
import { SqlTokenIssuer } from '#adapters/sql/token-issuer.ts';
import { tokenTables, type ListedToken, type TokenSchema } from '#adapters/sql/token-tables.ts';
import type { TokenIssuer } from '#core/ports/token-issuer.ts';

/** Of a data folder. */
export const TOKENS_FILE = 'identity.db';

/**
 * Where a site lists its tokens in another database than its data folder: adds what that folder has listed before, so that what was revoked
 * stays so. Nothing to do is the rule; done again it changes nothing.
 */
export async function takeOverTokens(dataDir: string, issuer: TokenIssuer): Promise<void> {
  const path = join(dataDir, TOKENS_FILE);
  if (!(issuer instanceof SqlTokenIssuer) || !existsSync(path)) return;
  await issuer.takeOver(await listedTokens(path));
}

async function listedTokens(path: string): Promise<readonly ListedToken[]> {
  const file = await SqliteFile.open<TokenSchema>({ path, ...tokenTables });
  try {
    return await file.kysely.selectFrom('issued_token').selectAll().execute();
  } finally {
    await file.close();
  }
}
