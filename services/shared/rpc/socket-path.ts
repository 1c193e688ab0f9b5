import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join, resolve } from 'node:path';

/** Linux allows 107 bytes for the address of a Unix domain socket. */
const LONGEST_ADDRESS = 100;

/** Where a port's socket is: in the data folder, or, where that path is too long for a socket, in a folder of this user's own named after it. */
export function socketPath(dataDir: string, port: string): string {
  const folder = join(resolve(dataDir), 'run');
  const path = join(folder, `${port}.sock`);
  const isShort = Buffer.byteLength(path) <= LONGEST_ADDRESS;
  const name = createHash('sha256').update(folder).digest('hex').slice(0, 16);
  const used = isShort ? folder : join(tmpdir(), `tribo-${userInfo().uid}-${name}`);
  mkdirSync(used, { recursive: true, mode: 0o700 });
  return join(used, `${port}.sock`);
}
