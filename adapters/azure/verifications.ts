import type { VerificationTools } from '#core/contracts/verification.ts';
import { bucketVerification } from '../bucket-verification.ts';
import { secretsVerification } from '../secrets-verification.ts';
import { BlobObjectStore } from './blob-object-store/blob-object-store.ts';
import type { BlobObjectStoreConfig } from './blob-object-store/config.ts';
import { openKeyVault, type KeyVaultSurroundings } from './key-vault-secret-store/client.ts';
import type { KeyVaultSecretStoreConfig } from './key-vault-secret-store/config.ts';
import { KeyVaultSecretStore } from './key-vault-secret-store/key-vault-secret-store.ts';

export async function verifyBlobObjectStore(settings: BlobObjectStoreConfig, { run }: VerificationTools) {
  const where = `container ${settings.container}`;
  const needs = `the role Storage Blob Data Contributor on ${where}`;
  return bucketVerification(await BlobObjectStore.open(settings), { run, where, needs });
}

/** `test` is what a test has instead of Azure's own. */
export function verifyKeyVaultSecretStore(
  settings: KeyVaultSecretStoreConfig,
  { run }: Pick<VerificationTools, 'run'>,
  test?: KeyVaultSurroundings,
) {
  const where = `vault ${settings.vaultUrl}`;
  return secretsVerification(async () => new KeyVaultSecretStore(settings, await openKeyVault(settings, test)), {
    ...{ run, where },
    needs: `the role Key Vault Secrets Officer on ${where}`,
  });
}
