import type { Construct } from 'constructs';
import { SecretManagerSecretVersion } from '@cdktf/provider-google/lib/secret-manager-secret-version/index.js';
import type { GcpStack } from './gcp-stack.ts';
import { PrivateSecret, type SecretKeys } from './private-secret.ts';

/** The provider whose random values are in no state. */
const RANDOM = { source: 'hashicorp/random', version: '3.7.2' };
const LENGTH = 40;

interface GeneratedSecretOptions extends SecretKeys {
  /** Its name, after that of the site: `database-password`. */
  readonly part: string;
  /** Counted up for a new value. */
  readonly version: number;
}

/** A secret whose value is generated once. It is write-only and ephemeral: in no state, and in no plan. */
export class GeneratedSecret extends PrivateSecret {
  /** For what takes it write-only, too. */
  readonly value: string;

  constructor(scope: Construct, id: string, stack: GcpStack, { part, version, ...keys }: GeneratedSecretOptions) {
    super(scope, id, stack, { part, ...keys });
    const random = part.replaceAll('-', '_');
    stack.addOverride('terraform.required_providers.random', RANDOM);
    stack.addOverride(`ephemeral.random_password.${random}`, { length: LENGTH, special: false });
    this.value = `\${ephemeral.random_password.${random}.result}`;
    new SecretManagerSecretVersion(scope, `${id}-value`, {
      secret: this.fullName,
      secretDataWo: this.value,
      secretDataWoVersion: version,
    });
  }
}
