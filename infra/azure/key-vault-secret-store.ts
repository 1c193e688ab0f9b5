import { Construct } from 'constructs';
import type { KeyVault } from '@cdktf/provider-azurerm/lib/key-vault/index.js';
import type { AzureStack } from './azure-stack.ts';
import type { Logs } from './logs.ts';
import type { SecretStoreSection } from './ports.ts';
import type { PrivateEndpoints } from './private-endpoints.ts';
import { PrivateVault } from './private-vault.ts';

/** The vault of what the platform itself keeps secret, and nothing else: the keys of the site's own issuer, secrets of sign-in and of mail. */
export class KeyVaultSecretStore extends Construct {
  readonly vault: KeyVault;
  readonly section: SecretStoreSection;

  constructor(scope: AzureStack, id: string, parts: { readonly logs: Logs; readonly endpoints: PrivateEndpoints }) {
    super(scope, id);
    this.vault = new PrivateVault(this, 'secrets', scope, { ...parts, part: 'secrets' }).vault;
    this.section = { vaultUrl: `https://${this.vault.name}.vault.azure.net` };
  }
}
