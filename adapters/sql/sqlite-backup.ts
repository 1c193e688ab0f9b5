import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { sqlitePortError } from './sqlite-errors.ts';

/**
 * Writes one state of a SQLite file, the one of this moment, as a new file; other connections, of any process, go on reading and writing.
 * (The online backup API begins anew with every commit of another process, so that it may never end.) Blocks this thread. False where
 * there is no such file. @throws PortError
 */
export function backUpSqlite(path: string, target: string): boolean {
  if (!existsSync(path)) return false;
  try {
    using database = new DatabaseSync(path, { timeout: 10_000 });
    database.prepare('vacuum into ?').run(target);
    return true;
  } catch (error) {
    throw sqlitePortError(error);
  }
}
