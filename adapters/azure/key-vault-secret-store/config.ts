import { z } from 'zod';

/** A vault of Azure's clouds, or a server on this machine: elsewhere a challenge could ask for a token that is worth something. */
const VAULT = /^https:\/\/([a-z0-9-]{3,24}\.vault\.(azure\.net|azure\.cn|usgovcloudapi\.net)|127\.0\.0\.1:\d+)\/?$/i;

/** Where secrets are those of an Azure Key Vault. Credentials come from DefaultAzureCredential alone: a managed identity in production. */
export const keyVaultSecretStoreConfigSchema = z.strictObject({
  /** Such as `https://akron-plant.vault.azure.net`. */
  vaultUrl: z.string().regex(VAULT, { error: 'must be https://<vault>.vault.azure.net' }),
  /** Begin of all names in the vault, where it is not Tribo's alone, such as `tribo-`. */
  prefix: z
    .string()
    .regex(/^([a-z0-9-]{0,39}-)?$/)
    .default(''),
  /** How long one call may take, and a put until a secret that was deleted is recovered. */
  timeoutMs: z.int().min(100).max(300_000).default(30_000),
});

export type KeyVaultSecretStoreConfig = z.infer<typeof keyVaultSecretStoreConfigSchema>;
