import { loadSdk } from '../../sdk.ts';
import { clientSettings } from '../aws-place.ts';
import type { SsmSecretStoreConfig } from './config.ts';

/** The calls of Parameter Store that the store makes: each one attempt, with whole names, throwing what the SDK throws. */
export interface SsmCalls {
  get(name: string, signal: AbortSignal): Promise<string | undefined>;
  put(name: string, value: string, signal: AbortSignal): Promise<void>;
  delete(name: string, signal: AbortSignal): Promise<void>;
  close(): void;
}

/** The SDK is loaded here and nowhere else, so that a site without Parameter Store never loads it. */
export async function openSsm(config: SsmSecretStoreConfig): Promise<SsmCalls> {
  const sdk = await loadSdk('AWS', () => import('@aws-sdk/client-ssm'));
  const { kmsKeyId: KeyId, tier: Tier } = config;
  const client = new sdk.SSMClient(clientSettings(config));
  return {
    get: async (Name, abortSignal) => {
      const command = new sdk.GetParameterCommand({ Name, WithDecryption: true });
      return (await client.send(command, { abortSignal })).Parameter?.Value;
    },
    put: async (Name, Value, abortSignal) => {
      const command = new sdk.PutParameterCommand({
        ...{ Name, Value, Tier, Type: 'SecureString', Overwrite: true },
        ...(KeyId !== undefined && { KeyId }),
      });
      await client.send(command, { abortSignal });
    },
    delete: async (Name, abortSignal) => {
      await client.send(new sdk.DeleteParameterCommand({ Name }), { abortSignal });
    },
    close: () => client.destroy(),
  };
}
