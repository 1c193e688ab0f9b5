import type { Construct } from 'constructs';
import type { FoundationParts } from '../platform.ts';
import type { Site } from '../site.ts';
import { CiIdentity } from './ci-identity.ts';
import { Domain } from './domain.ts';
import { EncryptionKey } from './encryption-key.ts';
import { GcpStack } from './gcp-stack.ts';
import { ImageRegistry } from './image-registry.ts';
import { Logs } from './logs.ts';
import { Network } from './network.ts';
import { PrivateEndpoints } from './private-endpoints.ts';
import { ProjectServices } from './project-services.ts';
import { SecondKeys } from './second-keys.ts';
import { secondPlace } from './second-place.ts';

/** APIs, network, key, registry, domain, logs, and the identity of the pipeline. */
export class FoundationStack extends GcpStack implements FoundationParts {
  readonly key: EncryptionKey;
  /** Of what outlives the region, by `switches.secondRegion`. */
  readonly second: SecondKeys | undefined;
  readonly network: Network;
  readonly privateEndpoints: PrivateEndpoints;
  readonly imageRegistry: ImageRegistry;
  readonly ciIdentity: CiIdentity;
  readonly domain: Domain;
  readonly logs: Logs;

  constructor(scope: Construct, site: Site) {
    super(scope, 'foundation', site);
    const services = new ProjectServices(this, 'project-services');
    this.key = new EncryptionKey(this, 'key', { services });
    const place = secondPlace(site.environment);
    this.second = place && new SecondKeys(this, 'second-keys', { place, services });
    this.network = new Network(this, 'network', { services, second: place });
    this.privateEndpoints = new PrivateEndpoints(this, 'private-endpoints', this.network);
    this.imageRegistry = new ImageRegistry(this, 'image-registry', { key: this.key, second: this.second });
    this.ciIdentity = new CiIdentity(this, 'ci-identity', { registry: this.imageRegistry, services });
    this.domain = new Domain(this, 'domain', { services });
    this.logs = new Logs(this, 'logs', { key: this.key });
  }
}
