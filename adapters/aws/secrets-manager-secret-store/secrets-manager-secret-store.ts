import { isPortError, type CallOptions, type PortErrorCode } from '#core/errors.ts';
import type { SecretStore } from '#core/ports/secret-store.ts';
import { checkSecret } from '../../secret-names.ts';
import { awsCall, type AwsCodes } from '../aws-errors.ts';
import { openSecretsManager, type SecretsManagerCalls } from './client.ts';
import type { SecretsManagerSecretStoreConfig } from './config.ts';

const CODES: AwsCodes = {
  // Among others: the secret is deleted, and can still be restored.
  InvalidRequestException: 'failed_precondition',
  ResourceExistsException: 'already_exists',
  DecryptionFailure: 'permission_denied',
  EncryptionFailure: 'permission_denied',
  InternalServiceError: 'unavailable',
};

/** Secrets of AWS Secrets Manager. A deleted one is kept by it for some days: here it is absent, and a put restores it with the new value. */
export class SecretsManagerSecretStore implements SecretStore {
  readonly #config: SecretsManagerSecretStoreConfig;
  readonly #secrets: SecretsManagerCalls;

  constructor(config: SecretsManagerSecretStoreConfig, secrets: SecretsManagerCalls) {
    this.#config = config;
    this.#secrets = secrets;
  }

  static async open(config: SecretsManagerSecretStoreConfig): Promise<SecretsManagerSecretStore> {
    return new SecretsManagerSecretStore(config, await openSecretsManager(config));
  }

  async get(name: string, options: CallOptions = {}): Promise<string | undefined> {
    try {
      return await this.#call('get', name, options, (id, signal) => this.#secrets.get(id, signal));
    } catch (error) {
      if (await this.#isAbsent(error, name, options)) return undefined;
      throw error;
    }
  }

  async put(name: string, value: string, options: CallOptions = {}): Promise<void> {
    checkSecret(name, value);
    const replace = () => this.#call('put', name, options, (id, signal) => this.#secrets.replace(id, value, signal));
    try {
      await replace();
    } catch (error) {
      if (!(await this.#isAbsent(error, name, options))) throw error;
      if (hasCode(error, 'failed_precondition'))
        await this.#call('restore', name, options, (id, signal) => this.#secrets.restore(id, signal));
      else if (await this.#create(name, value, options)) return;
      await replace();
    }
  }

  async delete(name: string, options: CallOptions = {}): Promise<void> {
    try {
      await this.#call('delete', name, options, (id, signal) => this.#secrets.delete(id, signal));
    } catch (error) {
      if (!(await this.#isAbsent(error, name, options))) throw error;
    }
  }

  /** Lets go of connections. Idempotent. */
  close(): void {
    this.#secrets.close();
  }

  /** False where another process was first. */
  async #create(name: string, value: string, options: CallOptions): Promise<boolean> {
    try {
      await this.#call('create', name, options, (id, signal) => this.#secrets.create(id, value, signal));
      return true;
    } catch (error) {
      if (hasCode(error, 'already_exists')) return false;
      throw error;
    }
  }

  /** Whether a call failed because the secret is not there, or deleted. */
  async #isAbsent(error: unknown, name: string, options: CallOptions): Promise<boolean> {
    if (hasCode(error, 'not_found')) return true;
    if (!hasCode(error, 'failed_precondition')) return false;
    return this.#call('describe', name, options, (id, signal) => this.#secrets.isDeleted(id, signal));
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
    const id = prefix + name;
    return awsCall({ what: `${doing} secret ${id}`, timeoutMs, signal, codes: CODES }, (stopped) => call(id, stopped));
  }
}

function hasCode(error: unknown, code: PortErrorCode): boolean {
  return isPortError(error) && error.code === code;
}
