import { TerraformOutput } from 'cdktf';
import type { Construct } from 'constructs';
import { imageDigests } from '../image-digests.ts';
import type { PlatformParts } from '../platform.ts';
import { COPY_NAME } from '../service-settings.ts';
import { isKubernetes, type Site } from '../site.ts';
import { AksCluster } from './aks-cluster.ts';
import { Alarms } from './alarms.ts';
import { AzureStack } from './azure-stack.ts';
import { Budget } from './budget.ts';
import { CommunicationNotifier } from './communication-notifier.ts';
import { ContainerApps } from './container-apps.ts';
import { Dashboard } from './dashboard.ts';
import type { DataStack } from './data-stack.ts';
import { EntraIdentityVerifier } from './entra-identity-verifier.ts';
import type { FoundationStack } from './foundation-stack.ts';
import { Ingress } from './ingress.ts';
import { IotHubDeviceGateway } from './iot-hub-device-gateway.ts';
import { IotHubDeviceRegistry } from './iot-hub-device-registry.ts';
import { ModelServing } from './model-serving.ts';
import { Operators } from './operators.ts';
import type { AzurePorts } from './ports.ts';
import { QueueFunctions } from './queue-functions.ts';
import { ServiceLevels } from './service-levels.ts';

/** What can be made again: the services and all that leads to them and watches them. */
export class PlatformStack extends AzureStack implements PlatformParts {
  readonly deviceGateway: IotHubDeviceGateway;
  readonly deviceRegistry: IotHubDeviceRegistry;
  readonly identityVerifiers: EntraIdentityVerifier;
  readonly notifiers: CommunicationNotifier;
  readonly services: ContainerApps | AksCluster;
  readonly functions: QueueFunctions;
  readonly modelServing: ModelServing;
  readonly ingress: Ingress;
  readonly alarms: Alarms;
  readonly serviceLevels: ServiceLevels;
  readonly dashboard: Dashboard;
  readonly budget: Budget;
  readonly ports: AzurePorts;

  constructor(scope: Construct, site: Site, foundation: FoundationStack, data: DataStack) {
    super(scope, 'platform', site);
    this.deviceGateway = new IotHubDeviceGateway(this, 'device-gateway', data);
    this.deviceRegistry = new IotHubDeviceRegistry(this, 'device-registry', data.iotHub);
    this.identityVerifiers = new EntraIdentityVerifier(this, 'identity-verifiers');
    this.notifiers = new CommunicationNotifier(this, 'notifiers');
    const images = imageDigests(this).value as unknown;
    this.modelServing = new ModelServing(this, 'model-serving', { foundation, data, imageDigests: images });
    const { inference } = this.modelServing;
    this.ports = {
      provider: 'azure',
      postgres: data.database.section,
      eventStream: { ...data.eventStream.section, source: COPY_NAME },
      objectStore: data.objectStore.section,
      secretStore: data.secretStore.section,
      deviceGateway: { adapter: 'iot-hub-device-gateway', ...this.deviceGateway.section },
      deviceRegistry: { adapter: 'iot-hub-device-registry', ...this.deviceRegistry.section },
      notifiers: [{ adapter: 'communication-notifier', ...this.notifiers.section }],
      ...(inference && { modelInference: { adapter: 'azure-ml-model-inference', ...inference.section } }),
      identityVerifiers: this.identityVerifiers.sections,
    };
    const parts = { foundation, data, ports: this.ports, notifier: this.notifiers, inference };
    this.services = isKubernetes(site)
      ? new AksCluster(this, 'services', parts)
      : new ContainerApps(this, 'services', { ...parts, imageDigests: images });
    this.functions = new QueueFunctions(this, 'functions', { foundation, data });
    const apps = this.services instanceof ContainerApps ? this.services : undefined;
    this.ingress = new Ingress(this, 'ingress', { foundation, ...(apps && { services: apps }) });
    const watched = { data, services: this.services, ingress: this.ingress };
    const { actionGroupId } = new Operators(this, 'operators');
    this.alarms = new Alarms(this, 'alarms', {
      ...{ ...watched, queue: this.functions.queue, logs: foundation.logs, actionGroupId },
    });
    this.serviceLevels = new ServiceLevels(this, 'service-levels', {
      ...{ ingress: this.ingress, logs: foundation.logs, actionGroupId },
    });
    this.dashboard = new Dashboard(this, 'dashboard', watched);
    this.budget = new Budget(this, 'budget');
    new TerraformOutput(this, 'ports', {
      value: this.ports,
      description: 'The ports file of the site (docs/providers.md)',
      staticId: true,
    }).overrideLogicalId('ports');
  }
}
