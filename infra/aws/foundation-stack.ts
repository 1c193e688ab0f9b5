import type { Construct } from 'constructs';
import type { FoundationParts } from '../platform.ts';
import type { Site } from '../site.ts';
import { AwsStack } from './aws-stack.ts';
import { CiIdentity } from './ci-identity.ts';
import { Domain } from './domain.ts';
import { EncryptionKey } from './encryption-key.ts';
import { ImageRegistry } from './image-registry.ts';
import { Network } from './network.ts';
import { PrivateEndpoints } from './private-endpoints.ts';

/** Network, key, registry, domain, and the identity of the pipeline. */
export class FoundationStack extends AwsStack implements FoundationParts {
  readonly key: EncryptionKey;
  readonly network: Network;
  readonly privateEndpoints: PrivateEndpoints;
  readonly imageRegistry: ImageRegistry;
  readonly ciIdentity: CiIdentity;
  readonly domain: Domain;

  constructor(scope: Construct, site: Site) {
    super(scope, 'foundation', site);
    this.key = new EncryptionKey(this, 'key', this);
    const keyArn = this.key.arn;
    this.network = new Network(this, 'network', { keyArn });
    this.privateEndpoints = new PrivateEndpoints(this, 'private-endpoints', this.network);
    this.imageRegistry = new ImageRegistry(this, 'image-registry', { keyArn });
    this.ciIdentity = new CiIdentity(this, 'ci-identity', this.imageRegistry);
    this.domain = new Domain(this, 'domain');
  }
}
