import { TerraformOutput } from 'cdktf';
import type { Construct } from 'constructs';
import { imageDigests } from '../image-digests.ts';
import type { PlatformParts } from '../platform.ts';
import { COPY_NAME } from '../service-settings.ts';
import { isKubernetes, type Site } from '../site.ts';
import { Alarms } from './alarms.ts';
import { AutoModeCluster } from './auto-mode-cluster.ts';
import { AwsStack } from './aws-stack.ts';
import { Budget } from './budget.ts';
import { CognitoIdentityVerifier } from './cognito-identity-verifier.ts';
import { Dashboard } from './dashboard.ts';
import type { DataStack } from './data-stack.ts';
import { FargateServices } from './fargate-services.ts';
import type { FoundationStack } from './foundation-stack.ts';
import { Ingress } from './ingress.ts';
import { IotCoreDeviceGateway } from './iot-core-device-gateway.ts';
import { IotCoreDeviceRegistry } from './iot-core-device-registry.ts';
import { LambdaFunctions } from './lambda-functions.ts';
import { ModelServing } from './model-serving.ts';
import { Operators } from './operators.ts';
import type { AwsPorts } from './ports.ts';
import { ServiceLevels } from './service-levels.ts';
import { SnsNotifier } from './sns-notifier.ts';

/** What can be made again: the services and all that leads to them and watches them. */
export class PlatformStack extends AwsStack implements PlatformParts {
  readonly deviceGateway: IotCoreDeviceGateway;
  readonly deviceRegistry: IotCoreDeviceRegistry;
  readonly identityVerifiers: CognitoIdentityVerifier;
  readonly notifiers: SnsNotifier;
  readonly services: FargateServices | AutoModeCluster;
  readonly ingress: Ingress;
  readonly functions: LambdaFunctions;
  readonly modelServing: ModelServing;
  readonly alarms: Alarms;
  readonly serviceLevels: ServiceLevels;
  readonly dashboard: Dashboard;
  readonly budget: Budget;
  readonly ports: AwsPorts;

  constructor(scope: Construct, site: Site, foundation: FoundationStack, data: DataStack) {
    super(scope, 'platform', site);
    const keyArn = foundation.key.arn;
    this.deviceGateway = new IotCoreDeviceGateway(this, 'device-gateway', { streams: data.deviceStreams, keyArn });
    this.deviceRegistry = new IotCoreDeviceRegistry(this, 'device-registry');
    this.identityVerifiers = new CognitoIdentityVerifier(this, 'identity-verifiers');
    this.notifiers = new SnsNotifier(this, 'notifiers', { keyArn });
    const images = imageDigests(this).value as unknown;
    this.modelServing = new ModelServing(this, 'model-serving', { foundation, data, imageDigests: images });
    const { inference } = this.modelServing;
    this.ports = {
      provider: 'aws',
      aws: { region: site.region },
      postgres: data.database.section,
      eventStream: { ...data.eventStream.section, source: COPY_NAME },
      objectStore: data.objectStore.section,
      secretStore: { prefix: site.names.path, kmsKeyId: keyArn },
      deviceGateway: { adapter: 'iot-core-device-gateway', ...this.deviceGateway.section },
      deviceRegistry: { adapter: 'iot-core-device-registry', ...this.deviceRegistry.section },
      notifiers: [{ adapter: 'sns-notifier', ...this.notifiers.section }],
      ...(inference && { modelInference: { adapter: 'sagemaker-model-inference', ...inference.section } }),
      identityVerifiers: this.identityVerifiers.sections,
    };
    this.ingress = new Ingress(this, 'ingress', { foundation, data });
    const run = { foundation, data, ports: this.ports, ingress: this.ingress };
    this.services = isKubernetes(site)
      ? new AutoModeCluster(this, 'services', run)
      : new FargateServices(this, 'services', { ...run, imageDigests: images });
    this.functions = new LambdaFunctions(this, 'functions', { streams: data.deviceStreams, keyArn });
    const { topicArn } = new Operators(this, 'operators', this, { keyArn });
    this.alarms = new Alarms(this, 'alarms', {
      ...{ data, ingress: this.ingress, topicArn },
      functions: this.functions,
    });
    this.serviceLevels = new ServiceLevels(this, 'service-levels', { data, ingress: this.ingress, topicArn });
    this.dashboard = new Dashboard(this, 'dashboard', {
      ...{ data, ingress: this.ingress },
      ...{ functions: this.functions, serviceLevels: this.serviceLevels },
    });
    this.budget = new Budget(this, 'budget');
    new TerraformOutput(this, 'ports', {
      value: this.ports,
      description: 'The ports file of the site (docs/providers.md)',
      staticId: true,
    }).overrideLogicalId('ports');
  }
}
