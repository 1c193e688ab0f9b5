import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A store in a fresh folder, opened once; `reopen` opens another client of it. Disposing closes them all. */
export async function openInFolder<Store extends { close(): Promise<void> }>(open: (folder: string) => Promise<Store>) {
  const folder = mkdtempSync(join(tmpdir(), 'tribo-store-'));
  const opened: Store[] = [];
  const reopen = async (): Promise<Store> => {
    const store = await open(folder);
    opened.push(store);
    return store;
  };
  return {
    store: await reopen(),
    reopen,
    [Symbol.asyncDispose]: async () => {
      for (const each of opened) await each.close();
      rmSync(folder, { recursive: true });
    },
  };
}
