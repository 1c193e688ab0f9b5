import { Fn, type TerraformVariable } from 'cdktf';
import { Construct } from 'constructs';
import { VertexAiEndpoint } from '@cdktf/provider-google/lib/vertex-ai-endpoint/index.js';
import { modelMachinesOf } from '../../core/decision/plan.ts';
import { mandatoryLabels } from '../aspects/labels.ts';
import { BUSY_PERCENT } from '../copies.ts';
import { MODEL_SERVER } from '../image-digests.ts';
import { acknowledge } from '../policy/acknowledge.ts';
import type { FoundationStack } from './foundation-stack.ts';
import type { GcpStack } from './gcp-stack.ts';
import type { ModelDeployment } from './model-deployment.ts';
import type { ModelInferenceSection } from './ports.ts';
import { endpointId } from './resource-names.ts';

const MACHINE_TYPE = 'e2-standard-2';
const MOST_REPLICAS = 4;

interface Parts {
  readonly foundation: FoundationStack;
  readonly digests: TerraformVariable;
}

/**
 * An endpoint of Vertex AI, which models come to with the calls for them: services ask it by the private addresses of Google's APIs, with a token. The
 * provider has no resource for what runs behind it: `deployment` says what that is, and a step of each release brings it there.
 */
export class VertexAiModelInference extends Construct {
  readonly section: ModelInferenceSection;
  readonly deployment: ModelDeployment;

  constructor(scope: GcpStack, id: string, { foundation, digests }: Parts) {
    super(scope, id);
    const { names, region, environment } = scope.site;
    const endpoint = new VertexAiEndpoint(this, 'endpoint', {
      name: endpointId(names),
      displayName: names.of('models', 128),
      description: `Models of ${names.base}`,
      location: region,
      encryptionSpec: { kmsKeyName: foundation.key.keyName },
      // By the deployment of the model server, which is none of the provider's.
      lifecycle: { ignoreChanges: ['traffic_split'] },
    });
    acknowledge(endpoint, {
      CKV2_GCP_33:
        'Services come by the private addresses of Google’s APIs, and each call by its token; with a network of its own it would answer whoever is in that, without TLS',
    });
    this.section = { project: scope.project, location: region, endpointId: endpoint.name };
    this.deployment = {
      endpoint: endpoint.id,
      model: names.of('model-server', 63),
      image: foundation.imageRegistry.image(MODEL_SERVER, Fn.lookup(digests.value, MODEL_SERVER) as string),
      machineType: MACHINE_TYPE,
      leastReplicas: modelMachinesOf(environment),
      mostReplicas: MOST_REPLICAS,
      busyPercent: BUSY_PERCENT,
      key: foundation.key.keyName,
      labels: mandatoryLabels(environment),
    };
  }
}
