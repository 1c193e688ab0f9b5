import { Construct } from 'constructs';
import { SecretManagerSecretVersion } from '@cdktf/provider-google/lib/secret-manager-secret-version/index.js';
import type { GcpStack } from './gcp-stack.ts';
import { RANDOM } from './postgres-database.ts';
import { PrivateSecret } from './private-secret.ts';

/** Counted up to give the services a new key; they are to be started anew then. */
const KEY_VERSION = 1;
const KEY = 'link_key';

/** By which the services of the site know each other: random, in no state and in no plan. */
export class LinkKey extends Construct {
  readonly secret: PrivateSecret;

  constructor(scope: Construct, id: string, stack: GcpStack, keyName: string) {
    super(scope, id);
    stack.addOverride('terraform.required_providers.random', RANDOM);
    stack.addOverride(`ephemeral.random_password.${KEY}`, { length: 64, special: false });
    this.secret = new PrivateSecret(this, 'key', stack, { part: 'link-key', keyName });
    new SecretManagerSecretVersion(this, 'value', {
      secret: this.secret.fullName,
      secretDataWo: `\${ephemeral.random_password.${KEY}.result}`,
      secretDataWoVersion: KEY_VERSION,
    });
  }
}
