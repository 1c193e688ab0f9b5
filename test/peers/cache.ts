import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where peers are installed: outside the clone, so that the next one finds them. */
const folder = process.env['TRIBO_PEERS_DIR'] ?? join(homedir(), '.cache', 'tribo-peers');

/**
 * The folder of an installed peer, installed there when it is not yet: once for each wording of what to install. Of several that install at
 * once one is kept; one that fails leaves nothing.
 */
export async function installed(
  name: string,
  whatToInstall: string,
  install: (into: string) => Promise<void>,
): Promise<string> {
  const key = createHash('sha256').update(whatToInstall).digest('hex').slice(0, 12);
  const place = join(folder, `${name}-${key}`);
  if (existsSync(place)) return place;
  const beside = `${place}.${randomUUID().slice(0, 8)}`;
  mkdirSync(beside, { recursive: true });
  try {
    await install(beside);
    if (!existsSync(place)) renameSync(beside, place);
    return place;
  } finally {
    rmSync(beside, { recursive: true, force: true });
  }
}
