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
import { SecondFoundation } from './second-foundation.ts';
import { secondPlace } from './second-place.ts';

/** Network, logs, keys, registry, domain, and the identity of the pipeline. */
export class FoundationStack extends AzureStack implements FoundationParts {
  readonly network: Network;
  readonly privateEndpoints: PrivateEndpoints;
  readonly logs: Logs;
  readonly key: EncryptionKey;
  readonly imageRegistry: ImageRegistry;
  readonly ciIdentity: CiIdentity;
  readonly domain: Domain;
  /** Of what stands ready in the second region, by `switches.secondRegion`. */
  readonly second: SecondFoundation | undefined;

  constructor(scope: Construct, site: Site) {
    super(scope, 'foundation', site);
    const place = secondPlace(site.environment);
    this.network = new Network(this, 'network', { second: place });
    this.privateEndpoints = new PrivateEndpoints(this, 'private-endpoints', this.network);
    this.logs = new Logs(this, 'logs');
    const around = { logs: this.logs, endpoints: this.privateEndpoints };
    this.key = new EncryptionKey(this, 'key', this, around);
    this.imageRegistry = new ImageRegistry(this, 'image-registry', { ...around, key: this.key.own, second: place });
    this.ciIdentity = new CiIdentity(this, 'ci-identity', this.imageRegistry);
    this.domain = new Domain(this, 'domain');
    this.second = place && new SecondFoundation(this, 'second', { place, network: this.network, logs: this.logs });
  }
}
