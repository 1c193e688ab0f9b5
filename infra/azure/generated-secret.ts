import { Construct } from 'constructs';
import { KeyVaultSecret } from '@cdktf/provider-azurerm/lib/key-vault-secret/index.js';
import { acknowledge } from '../policy/acknowledge.ts';
import type { AzureStack } from './azure-stack.ts';

interface Parts {
  readonly name: string;
  readonly contentType: string;
  /** Of keys: no service may write there. */
  readonly keyVaultId: string;
  /** Counted up for another value. */
  readonly version: number;
}

const LENGTH = 40;

/** A secret of letters and digits that nobody chose. It is ephemeral, and so in no state and in no plan. */
export class GeneratedSecret extends Construct {
  readonly secret: KeyVaultSecret;
  /** What an argument that is write-only is overridden with. */
  readonly value: string;

  constructor(scope: AzureStack, parent: Construct, id: string, parts: Parts) {
    super(parent, id);
    const { name, contentType, keyVaultId, version } = parts;
    const ephemeral = name.replaceAll('-', '_');
    scope.addOverride('terraform.required_providers.random', {
      source: 'hashicorp/random',
      version: '>= 3.7.0, < 4.0.0',
    });
    scope.addOverride(`ephemeral.random_password.${ephemeral}`, {
      length: LENGTH,
      special: false,
      min_upper: 1,
      min_lower: 1,
      min_numeric: 1,
    });
    this.value = `\${ephemeral.random_password.${ephemeral}.result}`;
    this.secret = new KeyVaultSecret(this, 'secret', { name, keyVaultId, contentType, valueWoVersion: version });
    acknowledge(this.secret, {
      CKV_AZURE_41: 'Services that start after its end would not: it is changed by its version',
    });
    this.secret.addOverride('value_wo', this.value);
  }
}
