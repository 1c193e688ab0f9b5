import { z } from 'zod';
import type { ModelDeployment } from './model-deployment.ts';
import type { VertexAiApi } from './vertex-ai-api.ts';

/** Where the model server answers (docs/model-server.md). */
const PORT = 8080;
const ROUTES = { predictRoute: '/predict', healthRoute: '/health/ready' };
const CPU = 'aiplatform.googleapis.com/prediction/online/cpu/utilization';
const ALL_PERCENT = 100;

const deployedModel = z.object({
  id: z.string(),
  model: z.string(),
  modelVersionId: z.string().optional(),
  dedicatedResources: z
    .object({
      machineSpec: z.object({ machineType: z.string() }),
      minReplicaCount: z.number(),
      maxReplicaCount: z.number().optional(),
      autoscalingMetricSpecs: z.array(z.object({ metricName: z.string(), target: z.number() })).default([]),
    })
    .optional(),
});
const endpointSchema = z.object({
  deployedModels: z.array(deployedModel).default([]),
  trafficSplit: z.record(z.string(), z.number()).default({}),
});
const modelSchema = z.object({ name: z.string(), versionId: z.string() });
const uploadedSchema = z.object({ model: z.string(), modelVersionId: z.string() });
const deployedSchema = z.object({ deployedModel: z.object({ id: z.string() }) });

type Endpoint = z.infer<typeof endpointSchema>;
/** A version of a model in the registry. */
type Version = z.infer<typeof modelSchema>;
type Say = (line: string) => void;

/**
 * Brings the model server of a release behind the endpoint: its image is a version of a model, whose deployment takes all calls once it answers; then
 * what ran before goes. Run again it goes on with what is not done, and does nothing where all is.
 * @throws Error that says what Vertex AI refused
 */
export async function releaseModels(api: VertexAiApi, wanted: ModelDeployment, say: Say): Promise<void> {
  const endpoint = await endpointOf(api, wanted);
  const version = await versionOf(api, wanted, say);
  const answering = endpoint.deployedModels.find(
    (each) => endpoint.trafficSplit[each.id] === ALL_PERCENT && isAsWanted(each, version, wanted),
  );
  const id = answering?.id ?? (await deploy(api, wanted, version, say));
  const others = endpoint.deployedModels.filter((each) => each.id !== id);
  for (const { id: deployedModelId } of others) {
    say(`what was deployed before goes: ${deployedModelId}`);
    await undeploy(api, wanted, { deployedModelId });
  }
  say(`${wanted.endpoint} answers with ${wanted.image}`);
}

/** Takes away what runs behind the endpoint, and the model: what a stack did not make, and cannot be destroyed with. */
export async function removeModels(api: VertexAiApi, wanted: ModelDeployment, say: Say): Promise<void> {
  const { deployedModels, trafficSplit } = await endpointOf(api, wanted);
  // What has calls goes last, and takes all before it goes: nothing that has some may go but the last.
  const inTurn = deployedModels.map(({ id }) => id).toSorted((a, b) => (trafficSplit[a] ?? 0) - (trafficSplit[b] ?? 0));
  for (const [index, deployedModelId] of inTurn.entries()) {
    say(`${deployedModelId} goes`);
    const isLast = index === inTurn.length - 1;
    await undeploy(api, wanted, {
      deployedModelId,
      ...(!isLast && { trafficSplit: { [inTurn.at(-1)!]: ALL_PERCENT } }),
    });
  }
  const name = modelName(wanted);
  if ((await api.read(name, modelSchema)) === undefined) return;
  await api.finish('DELETE', name, undefined, z.unknown());
  say(`${name} is gone`);
}

async function endpointOf(api: VertexAiApi, { endpoint }: ModelDeployment): Promise<Endpoint> {
  const found = await api.read(endpoint, endpointSchema);
  if (found) return found;
  throw new Error(`there is no ${endpoint}: apply the stack platform first`);
}

/** The version that is this image, uploaded where it is not there. */
async function versionOf(api: VertexAiApi, wanted: ModelDeployment, say: Say): Promise<Version> {
  const name = modelName(wanted);
  const alias = aliasOf(wanted);
  const model = await api.read(name, modelSchema);
  const known = model && (await api.read(`${name}@${alias}`, modelSchema));
  if (known) return known;
  const uploaded = await api.finish(
    'POST',
    `${placeOf(wanted)}/models:upload`,
    {
      ...(model ? { parentModel: name } : { modelId: wanted.model }),
      model: {
        displayName: wanted.model,
        versionAliases: [alias],
        containerSpec: { imageUri: wanted.image, ports: [{ containerPort: PORT }], ...ROUTES },
        encryptionSpec: { kmsKeyName: wanted.key },
        labels: wanted.labels,
      },
    },
    uploadedSchema,
  );
  say(`${name} has the version ${uploaded.modelVersionId}, ${wanted.image}`);
  return { name: uploaded.model, versionId: uploaded.modelVersionId };
}

async function deploy(api: VertexAiApi, wanted: ModelDeployment, version: Version, say: Say): Promise<string> {
  say('it is being deployed, which takes some minutes');
  const { deployedModel: made } = await api.finish(
    'POST',
    `${wanted.endpoint}:deployModel`,
    {
      deployedModel: {
        model: `${modelName(wanted)}@${version.versionId}`,
        displayName: wanted.model,
        // Without an account of its own it runs as one that has no rights in the project: it needs none.
        dedicatedResources: {
          machineSpec: { machineType: wanted.machineType },
          minReplicaCount: wanted.leastReplicas,
          maxReplicaCount: wanted.mostReplicas,
          autoscalingMetricSpecs: [{ metricName: CPU, target: wanted.busyPercent }],
        },
      },
      // `0` stands for the one that is being deployed: calls are led to it once it answers.
      trafficSplit: { '0': ALL_PERCENT },
    },
    deployedSchema,
  );
  return made.id;
}

function undeploy(api: VertexAiApi, { endpoint }: ModelDeployment, body: object): Promise<unknown> {
  return api.finish('POST', `${endpoint}:undeployModel`, body, z.unknown());
}

function isAsWanted(
  { model, modelVersionId, dedicatedResources: has }: z.infer<typeof deployedModel>,
  version: Version,
  wanted: ModelDeployment,
): boolean {
  return (
    idOf(model) === idOf(version.name) &&
    modelVersionId === version.versionId &&
    has?.machineSpec.machineType === wanted.machineType &&
    has.minReplicaCount === wanted.leastReplicas &&
    has.maxReplicaCount === wanted.mostReplicas &&
    has.autoscalingMetricSpecs.some(({ metricName, target }) => metricName === CPU && target === wanted.busyPercent)
  );
}

/** `projects/<project>/locations/<region>`. */
function placeOf({ endpoint }: ModelDeployment): string {
  return endpoint.split('/').slice(0, 4).join('/');
}

function modelName(wanted: ModelDeployment): string {
  return `${placeOf(wanted)}/models/${wanted.model}`;
}

/** Of the version whose image has this digest. */
function aliasOf({ image }: ModelDeployment): string {
  return image.split('@').at(-1)!.replace(':', '-');
}

/** Vertex AI names the project by its number, whatever it was asked by. */
function idOf(name: string): string {
  return name.split('/').at(-1)!.split('@')[0]!;
}
