import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isCode } from './errors.ts';

/**
 * The keys of the files below a folder that begin with the prefix and come after `after`, in the order of the whole keys. Folders that can hold
 * none of them are not read, and one is read only when its turn comes: a page costs what is on it, and the names beside it.
 */
export async function* keysBelow(
  directory: string,
  { prefix, after = '' }: { readonly prefix: string; readonly after?: string },
): AsyncGenerator<string> {
  const folders = prefix.split('/').slice(0, -1);
  // No key begins so, and a path like that would lead elsewhere.
  if (folders.some((name) => name === '' || name === '.' || name === '..')) return;
  yield* walk(directory, folders.map((name) => `${name}/`).join(''), prefix, after);
}

async function* walk(directory: string, folder: string, prefix: string, after: string): AsyncGenerator<string> {
  const entries = await entriesOf(join(directory, folder));
  const keys = entries
    .filter((entry) => entry.isFile() || entry.isDirectory())
    // With its slash a folder sorts as the keys below it do: `a-b` comes before `a/b`, and `a.b` too.
    .map((entry) => `${folder}${entry.name}${entry.isDirectory() ? '/' : ''}`)
    .filter((key) => key.startsWith(prefix) && (key > after || (key.endsWith('/') && after.startsWith(key))))
    .sort((a, b) => (a < b ? -1 : 1));
  for (const key of keys) {
    if (key.endsWith('/')) yield* walk(directory, key, prefix, after);
    else yield key;
  }
}

async function entriesOf(folder: string) {
  return readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    if (isCode(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  });
}
