import { dependable, type TerraformResource } from 'cdktf';
import { Construct } from 'constructs';
import { SecretsmanagerSecret } from '@cdktf/provider-aws/lib/secretsmanager-secret/index.js';
import { SecretsmanagerSecretVersion } from '@cdktf/provider-aws/lib/secretsmanager-secret-version/index.js';
import { acknowledge } from '../policy/acknowledge.ts';
import type { AwsStack } from './aws-stack.ts';

interface Parts {
  /** Of the secret, after the name of the environment. */
  readonly name: string;
  readonly description: string;
  readonly keyArn: string;
  /** Counted up for another value. */
  readonly version: number;
  readonly recoveryWindowInDays: number;
  /** Another region that has it too, with a key of its own. */
  readonly copyTo?: { readonly region: string; readonly keyArn: string } | undefined;
}

const LENGTH = 40;

/** A secret of letters and digits that nobody chose. It is ephemeral, and so in no state and in no plan. */
export class GeneratedSecret extends Construct {
  readonly arn: string;
  /** What an argument that is write-only is overridden with. */
  readonly value: string;
  readonly #current: SecretsmanagerSecretVersion;

  constructor(scope: AwsStack, parent: Construct, id: string, parts: Parts) {
    super(parent, id);
    const { name, description, keyArn, version, recoveryWindowInDays, copyTo } = parts;
    const ephemeral = name.replaceAll('-', '_');
    scope.addOverride(`ephemeral.aws_secretsmanager_random_password.${ephemeral}`, {
      password_length: LENGTH,
      exclude_punctuation: true,
    });
    this.value = `\${ephemeral.aws_secretsmanager_random_password.${ephemeral}.random_password}`;
    const secret = new SecretsmanagerSecret(this, 'secret', {
      name: `${scope.site.names.base}/${name}`,
      description,
      kmsKeyId: keyArn,
      recoveryWindowInDays,
      ...(copyTo && { replica: [{ region: copyTo.region, kmsKeyId: copyTo.keyArn }] }),
    });
    acknowledge(secret, {
      CKV2_AWS_57:
        'Changed by counting its version up with a deployment, at what uses it and here at once (infra/README.md)',
    });
    const current = new SecretsmanagerSecretVersion(this, 'value', {
      secretId: secret.id,
      secretStringWoVersion: version,
    });
    current.addOverride('secret_string_wo', this.value);
    this.arn = secret.arn;
    this.#current = current;
  }

  /**
   * Has it written once what has it too is made: each application draws another value, so that one which made the secret and failed at the other
   * would leave the first value here, and the next give the other a second one.
   */
  writtenAfter(made: TerraformResource): void {
    this.#current.dependsOn = [dependable(made)];
  }
}
