import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openReopenable } from '#core/contracts/reopenable.ts';

/** A store in a fresh folder, opened once; `reopen` opens another client of it. Disposing closes them all. */
export async function openInFolder<Store extends { close(): Promise<void> }>(open: (folder: string) => Promise<Store>) {
  const folder = mkdtempSync(join(tmpdir(), 'tribo-store-'));
  return openReopenable(
    () => open(folder),
    () => rmSync(folder, { recursive: true }),
  );
}
