import { Fn, TerraformOutput } from 'cdktf';
import type { Construct } from 'constructs';
import { imageDigests } from '../image-digests.ts';
import type { PlatformParts } from '../platform.ts';
import { COPY_NAME } from '../service-settings.ts';
import { isKubernetes, type Site } from '../site.ts';
import { Alarms } from './alarms.ts';
import type { ApiFront } from './api-front.ts';
import { AutopilotCluster } from './autopilot-cluster.ts';
import { Budget } from './budget.ts';
import { CloudRunServices } from './cloud-run-services.ts';
import { ClusterFront } from './cluster-front.ts';
import { Dashboard } from './dashboard.ts';
import type { DataStack } from './data-stack.ts';
import type { FoundationStack } from './foundation-stack.ts';
import { GcpStack } from './gcp-stack.ts';
import { IdentityPlatformIdentityVerifier } from './identity-platform-identity-verifier.ts';
import { Ingress } from './ingress.ts';
import { ModelServing } from './model-serving.ts';
import { MqttDeviceGateway } from './mqtt-device-gateway.ts';
import { Operators } from './operators.ts';
import type { GcpPorts } from './ports.ts';
import type { PostgresDatabase } from './postgres-database.ts';
import { PubsubNotifier } from './pubsub-notifier.ts';
import { PushFunctions } from './push-functions.ts';
import { ServiceLevels } from './service-levels.ts';

/** Of brokers, beside those of services, in `image_digests`. */
const BROKER_IMAGE = 'mosquitto';

/** What can be made again: the services and all that leads to them and watches them. */
export class PlatformStack extends GcpStack implements PlatformParts {
  readonly deviceGateway: MqttDeviceGateway;
  /** Devices are in tables of the database. */
  readonly deviceRegistry: PostgresDatabase;
  readonly identityVerifiers: IdentityPlatformIdentityVerifier;
  readonly notifiers: PubsubNotifier;
  readonly services: CloudRunServices | AutopilotCluster;
  readonly ingress: ApiFront;
  readonly functions: PushFunctions;
  readonly alarms: Alarms;
  readonly dashboard: Dashboard;
  readonly budget: Budget;
  readonly serviceLevels: ServiceLevels;
  readonly modelServing: ModelServing;
  readonly ports: GcpPorts;

  constructor(scope: Construct, site: Site, foundation: FoundationStack, data: DataStack) {
    super(scope, 'platform', site);
    const digests = imageDigests(this);
    const image = foundation.imageRegistry.image(BROKER_IMAGE, Fn.lookup(digests.value, BROKER_IMAGE) as string);
    this.deviceGateway = new MqttDeviceGateway(this, 'device-gateway', { foundation, data, image });
    this.deviceRegistry = data.database;
    this.identityVerifiers = new IdentityPlatformIdentityVerifier(this, 'identity-verifiers');
    this.notifiers = new PubsubNotifier(this, 'notifiers', foundation.key);
    this.modelServing = new ModelServing(this, 'model-serving', { foundation, data, digests });
    const { inference } = this.modelServing;
    this.ports = {
      provider: 'gcp',
      gcp: { projectId: this.project },
      postgres: data.database.section,
      eventStream: { ...data.eventStream.section, source: COPY_NAME },
      objectStore: data.objectStore.section,
      secretStore: { prefix: site.names.underscored(''), locations: regionsOf(site, foundation) },
      deviceGateway: { adapter: 'mqtt-device-gateway', ...this.deviceGateway.section },
      deviceRegistry: { adapter: 'postgres-device-registry' },
      notifiers: [{ adapter: 'pubsub-notifier', ...this.notifiers.section }],
      ...(inference && { modelInference: { adapter: 'vertex-ai-model-inference', ...inference.section } }),
      identityVerifiers: this.identityVerifiers.sections,
    };
    const parts = { foundation, data, ports: this.ports };
    if (isKubernetes(site)) {
      this.services = new AutopilotCluster(this, 'services', parts);
      this.ingress = new ClusterFront(this, 'ingress', foundation);
    } else {
      this.services = new CloudRunServices(this, 'services', { ...parts, digests });
      this.ingress = new Ingress(this, 'ingress', { foundation, services: this.services });
    }
    this.functions = new PushFunctions(this, 'functions', {
      ...{ foundation, data, digests, brokerUrl: this.deviceGateway.section.url },
    });
    const { channel } = new Operators(this, 'operators');
    const watched = { data, ingress: this.ingress, channel };
    this.alarms = new Alarms(this, 'alarms', {
      ...{ ...watched, gateway: this.deviceGateway, functions: this.functions },
    });
    this.serviceLevels = new ServiceLevels(this, 'service-levels', watched);
    this.dashboard = new Dashboard(this, 'dashboard', watched);
    this.budget = new Budget(this, 'budget');
    new TerraformOutput(this, 'ports', {
      value: this.ports,
      description: 'The ports file of the site (docs/providers.md)',
      staticId: true,
    }).overrideLogicalId('ports');
  }
}

/** Where a secret is kept that the platform makes. */
function regionsOf({ region }: Site, { second }: FoundationStack): string[] {
  return [region, ...(second ? [second.place.region] : [])];
}
