import type { TokenCredential } from '@azure/identity';
import type { SecretClientOptions } from '@azure/keyvault-secrets';
import { loadSdk } from '../../sdk.ts';
import { waitFor } from '../../wait-for.ts';
import type { KeyVaultSecretStoreConfig } from './config.ts';

/** The calls of Key Vault that the store makes: each one attempt, with whole names, throwing what the SDK throws. */
export interface KeyVaultCalls {
  get(name: string, signal: AbortSignal): Promise<string | undefined>;
  set(name: string, value: string, signal: AbortSignal): Promise<void>;
  /** Begins it: the vault has finished some seconds later. */
  delete(name: string, signal: AbortSignal): Promise<void>;
  /** Begins to take a deletion back: the vault has finished some seconds later. */
  recover(name: string, signal: AbortSignal): Promise<void>;
}

/** What a test has instead of Azure's own. */
export interface KeyVaultSurroundings {
  readonly credential: TokenCredential;
  readonly tlsOptions: NonNullable<SecretClientOptions['tlsOptions']>;
}

/** Of whoever is known to the vault: the secret is disabled, or not for that role to read; or there is none. */
const LET_IN: ReadonlySet<unknown> = new Set([403, 404]);

/** The SDK is loaded here and nowhere else, so that a site without Key Vault never loads it. */
export async function openKeyVault(
  { vaultUrl, timeoutMs }: KeyVaultSecretStoreConfig,
  test?: KeyVaultSurroundings,
): Promise<KeyVaultCalls> {
  const { SecretClient } = await loadSdk('Azure', () => import('@azure/keyvault-secrets'));
  const { DefaultAzureCredential } = await loadSdk('Azure', () => import('@azure/identity'));
  const client = new SecretClient(vaultUrl, test?.credential ?? new DefaultAzureCredential(), {
    // Retries are core/delivery's.
    retryOptions: { maxRetries: 0 },
    // The host of a server on this machine is no part of the resource that it asks a token for.
    disableChallengeResourceVerification: new URL(vaultUrl).hostname === '127.0.0.1',
    ...(test && { tlsOptions: test.tlsOptions }),
  });
  let signedIn: Promise<unknown> | undefined;
  /** The SDK asks for the vault's challenge without a body, and of several requests at once forgets to give one its body back. */
  const signIn = (name: string): Promise<unknown> =>
    (signedIn ??= client.getSecret(name, { abortSignal: AbortSignal.timeout(timeoutMs) }).catch((error: unknown) => {
      if (LET_IN.has((error as { readonly statusCode?: number }).statusCode)) return;
      signedIn = undefined;
      throw error;
    }));
  return {
    get: async (name, abortSignal) => (await client.getSecret(name, { abortSignal })).value,
    set: async (name, value, abortSignal) => {
      await waitFor(signIn(name), abortSignal);
      await client.setSecret(name, value, { abortSignal });
    },
    delete: async (name, abortSignal) => {
      await client.beginDeleteSecret(name, { abortSignal });
    },
    recover: async (name, abortSignal) => {
      await client.beginRecoverDeletedSecret(name, { abortSignal });
    },
  };
}
