import { Construct } from 'constructs';
import { SecretManagerSecret } from '@cdktf/provider-google/lib/secret-manager-secret/index.js';
import type { GcpStack } from './gcp-stack.ts';
import type { SecondKeys } from './second-keys.ts';

/** What a secret is encrypted with in the site's region, and in the second where there is one. */
export interface SecretKeys {
  readonly keyName: string;
  readonly second: SecondKeys | undefined;
}

/** A destroyed version of a secret can be had back for so long. */
const DESTROY_AFTER_S = 7 * 86_400;

/** A secret of the site in its region alone, and in the second where there is one, encrypted with the key of each. Its name is outside of what the secret store may touch: no service may change it. */
export class PrivateSecret extends Construct {
  /** Its name in the project, by which Cloud Run and brokers know it. */
  readonly secretId: string;
  /** `projects/<number>/secrets/<name>`. */
  readonly fullName: string;

  constructor(
    scope: Construct,
    id: string,
    stack: GcpStack,
    { part, keyName, second }: SecretKeys & { readonly part: string },
  ) {
    super(scope, id);
    const { names, region, isProtected } = stack.site;
    const keys = { [region]: keyName, ...(second && { [second.place.region]: second.there.keyName }) };
    const secret = new SecretManagerSecret(this, 'secret', {
      secretId: names.of(part),
      replication: {
        userManaged: {
          // In an order that stays when the second region becomes the first: a secret of another is another secret.
          replicas: Object.entries(keys)
            .toSorted(([one], [other]) => one.localeCompare(other))
            .map(([location, kmsKeyName]) => ({ location, customerManagedEncryption: { kmsKeyName } })),
        },
      },
      ...(isProtected && { versionDestroyTtl: `${DESTROY_AFTER_S}s` }),
      deletionProtection: isProtected,
      lifecycle: { preventDestroy: isProtected },
    });
    this.secretId = secret.secretId;
    this.fullName = secret.id;
  }
}
