import { randomUUID } from 'node:crypto';
import { chmod, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PortError, throwIfAborted, type CallOptions } from '#core/errors.ts';
import type { SecretStore } from '#core/ports/secret-store.ts';
import { checkSecret } from '../../secret-names.ts';
import type { FileSecretStoreConfig } from './config.ts';

/** Secrets that only this machine's owner of the data folder can read. They are not encrypted: the disk's encryption is the operator's. */
export class FileSecretStore implements SecretStore {
  readonly #directory: string;

  constructor(config: FileSecretStoreConfig) {
    this.#directory = config.directory;
  }

  async get(name: string, options: CallOptions = {}): Promise<string | undefined> {
    throwIfAborted(options.signal);
    try {
      return await readFile(this.#path(name), 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw secretError(name, error);
    }
  }

  async put(name: string, value: string, options: CallOptions = {}): Promise<void> {
    throwIfAborted(options.signal);
    checkSecret(name, value);
    const path = this.#path(name);
    const temporary = join(this.#directory, `.${randomUUID()}`);
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 });
      await chmod(this.#directory, 0o700);
      const file = await open(temporary, 'wx', 0o600);
      try {
        await file.writeFile(value);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
      const folder = await open(this.#directory, 'r');
      await folder.sync().finally(() => folder.close());
    } catch (error) {
      await rm(temporary, { force: true });
      throw secretError(name, error);
    }
  }

  async delete(name: string, options: CallOptions = {}): Promise<void> {
    throwIfAborted(options.signal);
    await rm(this.#path(name), { force: true }).catch((error: unknown) => {
      throw secretError(name, error);
    });
  }

  #path(name: string): string {
    checkSecret(name);
    return join(this.#directory, name);
  }
}

/** The message names the secret, never its value. */
function secretError(name: string, error: unknown): PortError {
  const { code = 'unknown' } = error as NodeJS.ErrnoException;
  const portCode =
    code === 'EACCES' || code === 'EPERM' ? 'permission_denied' : code === 'ENOSPC' ? 'resource_exhausted' : 'internal';
  return new PortError(portCode, `secret ${name} cannot be read or written (${code})`, { cause: error });
}
