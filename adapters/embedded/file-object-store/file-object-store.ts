import { randomUUID } from 'node:crypto';
import { type FileHandle, link, mkdir, open, readdir, readFile, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Clock } from '#core/clock.ts';
import { PortError, throwIfAborted, type CallOptions } from '#core/errors.ts';
import { checkObjectKey } from '#core/domain/object-key.ts';
import type { ObjectInfo, ObjectStore } from '#core/ports/object-store.ts';
import type { FileObjectStoreConfig } from './config.ts';
import { fileError, isCode } from './errors.ts';
import { keysBelow } from './key-walk.ts';

const TEMPORARY = '.incoming';
/** No write takes so long: what is older was left by a process that ended in the middle of one. */
const INCOMING_MS = 3_600_000;

/**
 * Objects as files below one folder. An object is written beside, synced, and renamed into place, so that a reader sees a whole one or
 * none, and it survives a crash once `put` resolves.
 */
export class FileObjectStore implements ObjectStore {
  readonly #directory: string;
  /** Folders whose own entry is known to be on the disk. */
  readonly #syncedFolders = new Set<string>();
  readonly #folderSyncs = new Map<string, { running: Promise<void>; next: Promise<void> | undefined }>();

  constructor(config: FileObjectStoreConfig) {
    this.#directory = config.directory;
  }

  /** The store, rid of what writers that were killed have left. */
  static async open(config: FileObjectStoreConfig, clock: Pick<Clock, 'nowMs'>): Promise<FileObjectStore> {
    const incoming = join(config.directory, TEMPORARY);
    await fileError(TEMPORARY, () => removeOlderThan(incoming, clock.nowMs() - INCOMING_MS));
    return new FileObjectStore(config);
  }

  async put(
    key: string,
    bytes: Uint8Array,
    options: CallOptions & { readonly ifAbsent?: boolean } = {},
  ): Promise<{ readonly created: boolean }> {
    throwIfAborted(options.signal);
    const path = this.#path(key);
    return fileError(key, async () => {
      const folder = dirname(path);
      await this.#makeFolder(folder);
      const temporary = join(this.#directory, TEMPORARY, randomUUID());
      await this.#makeFolder(dirname(temporary));
      try {
        await writeSynced(temporary, bytes);
        const created = options.ifAbsent ? await linkIfAbsent(temporary, path) : await replace(temporary, path);
        // Also where another writer was first: its entry may not be on the disk yet.
        await this.#syncFolder(folder);
        return { created };
      } finally {
        await unlinkIfThere(temporary);
      }
    });
  }

  async get(key: string, options: CallOptions = {}): Promise<Uint8Array | undefined> {
    throwIfAborted(options.signal);
    const path = this.#path(key);
    return fileError(key, async () => {
      try {
        return await readFile(path, options.signal ? { signal: options.signal } : {});
      } catch (error) {
        if (isCode(error, 'ENOENT', 'ENOTDIR', 'EISDIR')) return undefined;
        throw error;
      }
    });
  }

  async list(
    query: { readonly prefix: string; readonly after?: string; readonly limit: number },
    options: CallOptions = {},
  ): Promise<readonly ObjectInfo[]> {
    throwIfAborted(options.signal);
    return fileError(query.prefix, async () => {
      const keys: string[] = [];
      for await (const key of keysBelow(this.#directory, query)) {
        if (keys.length >= query.limit) break;
        throwIfAborted(options.signal);
        if (!key.startsWith(`${TEMPORARY}/`)) keys.push(key);
      }
      const infos = await Promise.all(keys.map((key) => this.#info(key)));
      return infos.filter((info) => info !== undefined);
    });
  }

  async delete(key: string, options: CallOptions = {}): Promise<void> {
    throwIfAborted(options.signal);
    const path = this.#path(key);
    await fileError(key, () => unlinkIfThere(path));
  }

  async #info(key: string): Promise<ObjectInfo | undefined> {
    try {
      const { size, mtimeMs } = await stat(this.#path(key));
      return { key, bytes: size, modifiedAtMs: mtimeMs };
    } catch (error) {
      // Deleted since it was listed.
      if (isCode(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  #path(key: string): string {
    checkObjectKey(key);
    const segments = key.split('/');
    if (segments.includes(TEMPORARY))
      throw new PortError('invalid_argument', `${TEMPORARY} is the store's own, got ${key}`);
    return join(this.#directory, ...segments);
  }

  async #makeFolder(folder: string): Promise<void> {
    if (this.#syncedFolders.has(folder)) return;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    for (let each = folder; each.length > this.#directory.length; each = dirname(each))
      await this.#syncFolder(dirname(each));
    if (this.#syncedFolders.size > 10_000) this.#syncedFolders.clear();
    this.#syncedFolders.add(folder);
  }

  /** Syncs that are asked for while one runs share the next one: its directory entries are all there by then. */
  #syncFolder(folder: string): Promise<void> {
    const syncs = this.#folderSyncs.get(folder);
    if (syncs) return (syncs.next ??= syncs.running.catch(() => undefined).then(() => this.#startSync(folder)));
    return this.#startSync(folder);
  }

  #startSync(folder: string): Promise<void> {
    const running = syncFolder(folder).finally(() => {
      const syncs = this.#folderSyncs.get(folder);
      if (syncs?.running === running && !syncs.next) this.#folderSyncs.delete(folder);
    });
    this.#folderSyncs.set(folder, { running, next: undefined });
    return running;
  }
}

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  await using _closing = closing(file);
  await file.writeFile(bytes);
  await file.datasync();
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  await using _closing = closing(folder);
  await folder.sync();
}

function closing(file: FileHandle): AsyncDisposable {
  return { [Symbol.asyncDispose]: () => file.close() };
}

/** A link is made only where nothing is: of two writers of one key, one creates it. */
async function linkIfAbsent(temporary: string, path: string): Promise<boolean> {
  try {
    await link(temporary, path);
    return true;
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false;
    throw error;
  }
}

/** Puts the file in the place of whatever is there; whether nothing was. */
async function replace(temporary: string, path: string): Promise<boolean> {
  const existed = await exists(path);
  await rename(temporary, path);
  return !existed;
}

/** As `rm` with force, which first looks what kind of thing it is to delete. */
async function unlinkIfThere(path: string): Promise<void> {
  await unlink(path).catch((error: unknown) => {
    if (!isCode(error, 'ENOENT')) throw error;
  });
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

async function removeOlderThan(folder: string, beforeMs: number): Promise<void> {
  for (const name of await namesIn(folder)) {
    const path = join(folder, name);
    const found = await stat(path).catch(() => undefined);
    if (found?.isFile() && found.mtimeMs < beforeMs) await unlinkIfThere(path);
  }
}

async function namesIn(folder: string): Promise<readonly string[]> {
  return readdir(folder).catch((error: unknown) => {
    if (isCode(error, 'ENOENT')) return [];
    throw error;
  });
}
