import type { Grant } from '../../permissions.ts';

/** https://learn.microsoft.com/azure/key-vault/general/rbac-guide */
export const keyVaultSecretStorePermissions: readonly Grant[] = [
  {
    actions: [
      'Microsoft.KeyVault/vaults/secrets/getSecret/action',
      'Microsoft.KeyVault/vaults/secrets/setSecret/action',
      'Microsoft.KeyVault/vaults/secrets/delete',
      'Microsoft.KeyVault/vaults/secrets/readMetadata/action',
      'Microsoft.KeyVault/vaults/secrets/recover/action',
    ],
    on: 'vault <vaultUrl>',
    role: 'Key Vault Secrets Officer',
  },
];
