import { loadSdk } from '../../sdk.ts';
import { clientSettings } from '../aws-place.ts';
import type { SecretsManagerSecretStoreConfig } from './config.ts';

/** The calls of Secrets Manager that the store makes: each one attempt, with whole names, throwing what the SDK throws. */
export interface SecretsManagerCalls {
  get(id: string, signal: AbortSignal): Promise<string | undefined>;
  create(id: string, value: string, signal: AbortSignal): Promise<void>;
  replace(id: string, value: string, signal: AbortSignal): Promise<void>;
  delete(id: string, signal: AbortSignal): Promise<void>;
  /** Takes a deletion back that has not become final. */
  restore(id: string, signal: AbortSignal): Promise<void>;
  isDeleted(id: string, signal: AbortSignal): Promise<boolean>;
  close(): void;
}

/** The SDK is loaded here and nowhere else, so that a site without Secrets Manager never loads it. */
export async function openSecretsManager(config: SecretsManagerSecretStoreConfig): Promise<SecretsManagerCalls> {
  const sdk = await loadSdk('AWS', () => import('@aws-sdk/client-secrets-manager'));
  const { kmsKeyId: KmsKeyId, recoveryDays } = config;
  const client = new sdk.SecretsManagerClient(clientSettings(config));
  return {
    get: async (SecretId, abortSignal) => {
      const { SecretString } = await client.send(new sdk.GetSecretValueCommand({ SecretId }), { abortSignal });
      return SecretString;
    },
    create: async (Name, SecretString, abortSignal) => {
      const command = new sdk.CreateSecretCommand({ Name, SecretString, ...(KmsKeyId !== undefined && { KmsKeyId }) });
      await client.send(command, { abortSignal });
    },
    replace: async (SecretId, SecretString, abortSignal) => {
      await client.send(new sdk.PutSecretValueCommand({ SecretId, SecretString }), { abortSignal });
    },
    delete: async (SecretId, abortSignal) => {
      const until = recoveryDays === 0 ? { ForceDeleteWithoutRecovery: true } : { RecoveryWindowInDays: recoveryDays };
      await client.send(new sdk.DeleteSecretCommand({ SecretId, ...until }), { abortSignal });
    },
    restore: async (SecretId, abortSignal) => {
      await client.send(new sdk.RestoreSecretCommand({ SecretId }), { abortSignal });
    },
    isDeleted: async (SecretId, abortSignal) => {
      const { DeletedDate } = await client.send(new sdk.DescribeSecretCommand({ SecretId }), { abortSignal });
      return DeletedDate !== undefined;
    },
    close: () => client.destroy(),
  };
}
