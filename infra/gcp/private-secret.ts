import { Construct } from 'constructs';
import { SecretManagerSecret } from '@cdktf/provider-google/lib/secret-manager-secret/index.js';
import type { GcpStack } from './gcp-stack.ts';

/** A destroyed version of a secret can be had back for so long. */
const DESTROY_AFTER_S = 7 * 86_400;

/** A secret of the site in its region alone, encrypted with its key. Its name is outside of what the secret store may touch: no service may change it. */
export class PrivateSecret extends Construct {
  /** Its name in the project, by which Cloud Run and brokers know it. */
  readonly secretId: string;
  /** `projects/<number>/secrets/<name>`. */
  readonly fullName: string;

  constructor(
    scope: Construct,
    id: string,
    stack: GcpStack,
    { part, keyName }: { readonly part: string; readonly keyName: string },
  ) {
    super(scope, id);
    const { names, region, isProtected } = stack.site;
    const secret = new SecretManagerSecret(this, 'secret', {
      secretId: names.of(part),
      replication: {
        userManaged: { replicas: [{ location: region, customerManagedEncryption: { kmsKeyName: keyName } }] },
      },
      ...(isProtected && { versionDestroyTtl: `${DESTROY_AFTER_S}s` }),
      deletionProtection: isProtected,
      lifecycle: { preventDestroy: isProtected },
    });
    this.secretId = secret.secretId;
    this.fullName = secret.id;
  }
}
