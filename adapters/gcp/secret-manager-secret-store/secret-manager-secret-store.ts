import type { CallOptions } from '#core/errors.ts';
import type { SecretStore } from '#core/ports/secret-store.ts';
import { cloudCall } from '../../cloud-call.ts';
import { checkSecret, plainSecretName } from '../../secret-names.ts';
import { unless } from '../../unless.ts';
import { codeOfGcpError } from '../gcp-errors.ts';
import { openSecretManager, type SecretManagerCalls } from './client.ts';
import type { SecretManagerSecretStoreConfig } from './config.ts';

const FITS = /^[A-Za-z0-9_-]+$/;

/** Secrets of Google's Secret Manager: a put adds a version and destroys those that are too old; a deleted one is gone for good. */
export class SecretManagerSecretStore implements SecretStore {
  readonly #config: SecretManagerSecretStoreConfig;
  readonly #secrets: SecretManagerCalls;

  constructor(config: SecretManagerSecretStoreConfig, secrets: SecretManagerCalls) {
    this.#config = config;
    this.#secrets = secrets;
  }

  static async open(config: SecretManagerSecretStoreConfig): Promise<SecretManagerSecretStore> {
    return new SecretManagerSecretStore(config, await openSecretManager(config));
  }

  async get(name: string, options: CallOptions = {}): Promise<string | undefined> {
    return unless(
      'not_found',
      this.#call('get', name, options, (id, signal) => this.#secrets.access(id, signal)),
    );
  }

  async put(name: string, value: string, options: CallOptions = {}): Promise<void> {
    checkSecret(name, value);
    const add = async () => {
      await this.#call('put', name, options, (id, signal) => this.#secrets.add(id, value, signal));
      return true;
    };
    if (await unless('not_found', add())) return this.#destroyOld(name, options);
    // Another process may be first.
    await unless(
      'already_exists',
      this.#call('create', name, options, (id, signal) => this.#secrets.create(id, signal)),
    );
    await add();
  }

  async delete(name: string, options: CallOptions = {}): Promise<void> {
    await unless(
      'not_found',
      this.#call('delete', name, options, (id, signal) => this.#secrets.delete(id, signal)),
    );
  }

  /** Lets go of connections. Idempotent. */
  close(): Promise<void> {
    return this.#secrets.close();
  }

  /** Each version is paid for. What another process has destroyed or deleted meanwhile is done. */
  async #destroyOld(name: string, options: CallOptions): Promise<void> {
    const listed = await unless(
      'not_found',
      this.#call('list versions of', name, options, (id, signal) => this.#secrets.versions(id, signal)),
    );
    for (const version of listed?.slice(this.#config.keepVersions) ?? [])
      await unless(
        'not_found',
        unless(
          'failed_precondition',
          this.#call('destroy a version of', name, options, (_id, signal) => this.#secrets.destroy(version, signal)),
        ),
      );
  }

  /** The message names the secret, never its value. */
  async #call<Result>(
    doing: string,
    name: string,
    { signal }: CallOptions,
    call: (id: string, signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    checkSecret(name);
    const { prefix, timeoutMs } = this.#config;
    const id = prefix + plainSecretName(name, FITS);
    return cloudCall({ what: `${doing} secret ${name} (${id})`, timeoutMs, signal }, codeOfGcpError, (stopped) =>
      call(id, stopped),
    );
  }
}
