import type { Construct } from 'constructs';
import type { FoundationParts } from '../platform.ts';
import type { Site } from '../site.ts';
import { AzureStack } from './azure-stack.ts';
import { CiIdentity } from './ci-identity.ts';
import { Domain } from './domain.ts';
import { EncryptionKey } from './encryption-key.ts';
import { ImageRegistry } from './image-registry.ts';
import { Logs } from './logs.ts';
import { Network } from './network.ts';
import { PrivateEndpoints } from './private-endpoints.ts';

/** Network, logs, keys, registry, domain, and the identity of the pipeline. */
export class FoundationStack extends AzureStack implements FoundationParts {
  readonly network: Network;
  readonly privateEndpoints: PrivateEndpoints;
  readonly logs: Logs;
  readonly key: EncryptionKey;
  readonly imageRegistry: ImageRegistry;
  readonly ciIdentity: CiIdentity;
  readonly domain: Domain;

  constructor(scope: Construct, site: Site) {
    super(scope, 'foundation', site);
    this.network = new Network(this, 'network');
    this.privateEndpoints = new PrivateEndpoints(this, 'private-endpoints', this.network);
    this.logs = new Logs(this, 'logs');
    const around = { logs: this.logs, endpoints: this.privateEndpoints };
    this.key = new EncryptionKey(this, 'key', around);
    this.imageRegistry = new ImageRegistry(this, 'image-registry', { ...around, key: this.key.own });
    this.ciIdentity = new CiIdentity(this, 'ci-identity', this.imageRegistry);
    this.domain = new Domain(this, 'domain');
  }
}
