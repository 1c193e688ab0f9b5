import { Fn, type ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import { MonitorAutoscaleSetting } from '@cdktf/provider-azurerm/lib/monitor-autoscale-setting/index.js';
import { ResourceGroupTemplateDeployment } from '@cdktf/provider-azurerm/lib/resource-group-template-deployment/index.js';
import { RoleAssignment } from '@cdktf/provider-azurerm/lib/role-assignment/index.js';
import { UserAssignedIdentity } from '@cdktf/provider-azurerm/lib/user-assigned-identity/index.js';
import { modelMachinesOf } from '../../core/decision/plan.ts';
import { mandatoryTags } from '../aspects/tags.ts';
import { MODEL_SERVER } from '../image-digests.ts';
import type { AzureStack } from './azure-stack.ts';
import type { FoundationStack } from './foundation-stack.ts';
import { asParameters, madeBy } from './made-by-template.ts';
import type { MachineLearningWorkspace } from './machine-learning-workspace.ts';
import { DEPLOYMENT, onlineEndpointTemplate } from './online-endpoint-template.ts';
import type { ModelInferenceSection } from './ports.ts';

/** One of all the region's. */
const MAX_NAME = 32;
const MOST_INSTANCES = 4;
/** Of CPU, over five minutes. */
const BUSY_PERCENT = 70;
const IDLE_PERCENT = 30;
const LOGGED = ['AmlOnlineEndpointConsoleLog', 'AmlOnlineEndpointEventLog'];
const DIGEST_BEGINS = 'sha256:'.length;
/** Of the digest, what tells one image from those before it. */
const VERSION_LENGTH = 16;

interface Parts {
  readonly foundation: FoundationStack;
  readonly workspace: MachineLearningWorkspace;
  /** By service. */
  readonly imageDigests: unknown;
  /** What has to be there before it. */
  readonly after: ITerraformDependable;
}

/**
 * The model server behind a managed online endpoint of Azure Machine Learning, which models come to with the calls for them. It is asked with a token
 * of Entra ID, through the private endpoint of the workspace alone.
 */
export class AzureMlModelInference extends Construct {
  readonly section: ModelInferenceSection;
  readonly endpointId: string;

  constructor(scope: AzureStack, id: string, { foundation, workspace, imageDigests, after }: Parts) {
    super(scope, id);
    const { site, place } = scope;
    const { registry } = foundation.imageRegistry;
    const identity = new UserAssignedIdentity(this, 'identity', {
      ...place,
      name: site.names.of('model-endpoint', 128),
    });
    const may = (part: string, roleDefinitionName: string, on: string) =>
      new RoleAssignment(this, part, {
        ...{ scope: on, roleDefinitionName, principalId: identity.principalId },
        ...{ principalType: 'ServicePrincipal', skipServicePrincipalAadCheck: true },
      });
    const rights = [
      may('images', 'AcrPull', registry.id),
      // Azure asks for it of each endpoint, also of one whose models are not there.
      may('store', 'Storage Blob Data Reader', workspace.account.account.id),
    ];
    const digest = Fn.lookup(imageDigests, MODEL_SERVER) as string;
    const name = scope.globalName('models', MAX_NAME);
    const fewest = modelMachinesOf(site.environment);
    const made = new ResourceGroupTemplateDeployment(this, 'endpoint', {
      name: site.names.of('model-endpoint', 64),
      resourceGroupName: place.resourceGroupName,
      deploymentMode: 'Incremental',
      templateContent: JSON.stringify(onlineEndpointTemplate()),
      parametersContent: Fn.jsonencode(
        asParameters({
          ...{ workspace: workspace.workspace.name, endpoint: name, location: place.location, identity: identity.id },
          image: `${registry.loginServer}/${MODEL_SERVER}@${digest}`,
          version: Fn.substr(digest, DIGEST_BEGINS, VERSION_LENGTH),
          instances: fewest,
          tags: mandatoryTags(site.environment),
        }),
      ),
      dependsOn: [...rights, after],
    });
    this.endpointId = madeBy(made, `${workspace.workspace.id}/onlineEndpoints/${name}`);
    this.section = {
      scoringUri: `https://${name}.${place.location}.inference.ml.azure.com/score`,
      deployment: DEPLOYMENT,
    };
    foundation.logs.of(this, this.endpointId, LOGGED);
    this.#scaling(scope, `${this.endpointId}/deployments/${DEPLOYMENT}`, fewest);
  }

  #scaling({ site, place }: AzureStack, deploymentId: string, fewest: number): void {
    const rule = (operator: 'GreaterThan' | 'LessThan', threshold: number, direction: 'Increase' | 'Decrease') => ({
      metricTrigger: {
        metricName: 'CpuUtilizationPercentage',
        metricResourceId: deploymentId,
        ...{ timeGrain: 'PT1M', statistic: 'Average', timeWindow: 'PT5M', timeAggregation: 'Average' },
        ...{ operator, threshold },
      },
      scaleAction: { direction, type: 'ChangeCount', value: 1, cooldown: 'PT5M' },
    });
    new MonitorAutoscaleSetting(this, 'scaling', {
      ...place,
      name: site.names.of('models', 260),
      targetResourceId: deploymentId,
      profile: [
        {
          name: 'by-load',
          capacity: { default: fewest, minimum: fewest, maximum: MOST_INSTANCES },
          rule: [rule('GreaterThan', BUSY_PERCENT, 'Increase'), rule('LessThan', IDLE_PERCENT, 'Decrease')],
        },
      ],
    });
  }
}
