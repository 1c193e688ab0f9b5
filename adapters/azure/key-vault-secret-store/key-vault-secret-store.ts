import { setTimeout as sleep } from 'node:timers/promises';
import type { CallOptions } from '#core/errors.ts';
import type { SecretStore } from '#core/ports/secret-store.ts';
import { cloudCall } from '../../cloud-call.ts';
import { checkSecret, plainSecretName } from '../../secret-names.ts';
import { codeOfAzureError, type AzureCodes } from '../azure-errors.ts';
import { openKeyVault, type KeyVaultCalls } from './client.ts';
import type { KeyVaultSecretStoreConfig } from './config.ts';

/** By what the vault says in `innererror`, and else by its code. */
const CODES: AzureCodes = {
  SecretNotFound: 'not_found',
  SecretDisabled: 'failed_precondition',
  Throttled: 'resource_exhausted',
  BadParameter: 'invalid_argument',
  Forbidden: 'permission_denied',
  Unauthorized: 'permission_denied',
  // Several change the same secret at once.
  Conflict: 'unavailable',
};

/** The vault is not done with what was asked before. */
const NOT_DONE = new Set(['ObjectIsBeingDeleted', 'ObjectIsBeingRecovered']);
const DELETED = 'ObjectIsDeletedButRecoverable';
const WAIT_MS = 500;
const FITS = /^[a-z0-9-]+$/;

/** Secrets of a Key Vault. A deleted one stays in it for the vault's own time: here it is absent, and a put recovers it with the new value. */
export class KeyVaultSecretStore implements SecretStore {
  readonly #config: KeyVaultSecretStoreConfig;
  readonly #vault: KeyVaultCalls;

  constructor(config: KeyVaultSecretStoreConfig, vault: KeyVaultCalls) {
    this.#config = config;
    this.#vault = vault;
  }

  static async open(config: KeyVaultSecretStoreConfig): Promise<KeyVaultSecretStore> {
    return new KeyVaultSecretStore(config, await openKeyVault(config));
  }

  async get(name: string, options: CallOptions = {}): Promise<string | undefined> {
    return this.#call('get', name, options, (id, signal) => unlessAbsent(this.#vault.get(id, signal)));
  }

  async put(name: string, value: string, options: CallOptions = {}): Promise<void> {
    checkSecret(name, value);
    await this.#call('put', name, options, (id, signal) => this.#set(id, value, signal));
  }

  async delete(name: string, options: CallOptions = {}): Promise<void> {
    await this.#call('delete', name, options, (id, signal) => unlessAbsent(this.#vault.delete(id, signal)));
  }

  /** Sets it as soon as the vault lets it: recovered first where it was deleted, and when the vault is done with what was asked before. */
  async #set(id: string, value: string, signal: AbortSignal): Promise<void> {
    for (;;) {
      try {
        await this.#vault.set(id, value, signal);
        return;
      } catch (error) {
        const reason = innerCodeOf(error);
        if (reason === DELETED) await this.#recover(id, signal);
        else if (!NOT_DONE.has(reason)) throw error;
      }
      await sleep(WAIT_MS, undefined, { signal });
    }
  }

  /** Another process may be first. */
  async #recover(id: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#vault.recover(id, signal);
    } catch (error) {
      if (!NOT_DONE.has(innerCodeOf(error)) && !isAbsence(error)) throw error;
    }
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
    const codeOf = (error: unknown) => CODES[innerCodeOf(error)] ?? codeOfAzureError(error, CODES);
    return cloudCall({ what: `${doing} secret ${name} (${id})`, timeoutMs, signal }, codeOf, (stopped) =>
      call(id, stopped),
    );
  }
}

async function unlessAbsent<Result>(call: Promise<Result>): Promise<Result | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
}

/** An answer of 404 that is not the vault's own, as a proxy's, is no absence. */
function isAbsence(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'SecretNotFound';
}

function innerCodeOf(error: unknown): string {
  const { details } = (error ?? {}) as {
    readonly details?: { readonly error?: { readonly innerError?: { readonly code?: string } } };
  };
  return details?.error?.innerError?.code ?? '';
}
