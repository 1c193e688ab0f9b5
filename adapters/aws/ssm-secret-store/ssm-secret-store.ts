import type { CallOptions } from '#core/errors.ts';
import type { SecretStore } from '#core/ports/secret-store.ts';
import { checkSecret } from '../../secret-names.ts';
import { unless } from '../../unless.ts';
import { awsCall, type AwsCodes } from '../aws-errors.ts';
import { openSsm, type SsmCalls } from './client.ts';
import type { SsmSecretStoreConfig } from './config.ts';

const CODES: AwsCodes = {
  ParameterNotFound: 'not_found',
  // Another process is changing the same parameter.
  TooManyUpdates: 'unavailable',
  ParameterLimitExceeded: 'resource_exhausted',
  // Every one of its hundred versions has a label.
  ParameterMaxVersionLimitExceeded: 'failed_precondition',
  InvalidKeyId: 'failed_precondition',
  HierarchyLevelLimitExceededException: 'invalid_argument',
  ParameterPatternMismatchException: 'invalid_argument',
  UnsupportedParameterType: 'invalid_argument',
  InternalServerError: 'unavailable',
};

/** Secrets as SecureString parameters of Systems Manager. A deleted one is gone for good. */
export class SsmSecretStore implements SecretStore {
  readonly #config: SsmSecretStoreConfig;
  readonly #parameters: SsmCalls;

  constructor(config: SsmSecretStoreConfig, parameters: SsmCalls) {
    this.#config = config;
    this.#parameters = parameters;
  }

  static async open(config: SsmSecretStoreConfig): Promise<SsmSecretStore> {
    return new SsmSecretStore(config, await openSsm(config));
  }

  async get(name: string, options: CallOptions = {}): Promise<string | undefined> {
    checkSecret(name);
    return unless(
      'not_found',
      this.#call('get', name, options, (id, signal) => this.#parameters.get(id, signal)),
    );
  }

  async put(name: string, value: string, options: CallOptions = {}): Promise<void> {
    checkSecret(name, value);
    await this.#call('put', name, options, (id, signal) => this.#parameters.put(id, value, signal));
  }

  async delete(name: string, options: CallOptions = {}): Promise<void> {
    checkSecret(name);
    await unless(
      'not_found',
      this.#call('delete', name, options, (id, signal) => this.#parameters.delete(id, signal)),
    );
  }

  /** Lets go of connections. Idempotent. */
  close(): void {
    this.#parameters.close();
  }

  /** The message names the secret, never its value. */
  #call<Result>(
    doing: string,
    name: string,
    { signal }: CallOptions,
    call: (id: string, signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    const { prefix, timeoutMs } = this.#config;
    const id = prefix + name;
    return awsCall({ what: `${doing} secret ${id}`, timeoutMs, signal, codes: CODES }, (stopped) => call(id, stopped));
  }
}
