import { googleError } from '../../test/peers/vertex-ai.ts';
import { WireServer, type WireAnswer, type WireRequest } from '../../test/peers/wire-server.ts';

const PLACE = 'projects/tribo-gent/locations/europe-west1';
/** As Vertex AI names it, whatever it was asked by. */
const NUMBERED_PLACE = 'projects/123456789012/locations/europe-west1';
const NUMBERED = /projects\/123456789012\//g;

interface Version {
  readonly versionId: string;
  readonly versionAliases: readonly string[];
}

interface DeployedModel {
  readonly id: string;
  readonly model: string;
  readonly modelVersionId: string;
}

interface Body {
  readonly model?: { readonly versionAliases?: readonly string[] };
  readonly modelId?: string;
  readonly parentModel?: string;
  readonly deployedModel?: { readonly model: string };
  readonly deployedModelId?: string;
  readonly trafficSplit?: Readonly<Record<string, number>>;
}

/** What is to be done once an operation was looked at. */
type Work = () => object;

/**
 * Models and one endpoint of Vertex AI, by https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.models,
 * https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.endpoints and
 * https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.operations.
 */
export class VertexAiModels implements AsyncDisposable {
  static readonly ENDPOINT = `${PLACE}/endpoints/319859442`;
  static readonly TOKEN = 'token-of-whoever-deploys';
  readonly wire: WireServer;
  readonly versions = new Map<string, Version[]>();
  deployed: DeployedModel[] = [];
  trafficSplit: Readonly<Record<string, number>> = {};
  /** The next of these that is asked for fails at the end, and nothing was done. */
  readonly failing: string[] = [];
  readonly #operations = new Map<string, { looks: number; work: Work; error?: string | undefined }>();
  #ids = 5000;

  static async start(): Promise<VertexAiModels> {
    const peer: { made?: VertexAiModels } = {};
    const wire = await WireServer.start((request) => peer.made!.#answer(request));
    return (peer.made = new VertexAiModels(wire));
  }

  private constructor(wire: WireServer) {
    this.wire = wire;
  }

  /** What was asked for that is no look at something: its method and name, and what it said. */
  get asked(): readonly (readonly [string, unknown])[] {
    return this.wire.requests
      .filter(({ method }) => method !== 'GET')
      .map(({ method, path, body }) => [`${method} ${path.replace(`/v1/${PLACE}/`, '')}`, bodyOf(body)]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.wire[Symbol.asyncDispose]();
  }

  #answer({ method, path, headers, body }: WireRequest): WireAnswer {
    if (headers.authorization !== `Bearer ${VertexAiModels.TOKEN}`)
      return googleError(401, 'UNAUTHENTICATED', 'Request had invalid authentication credentials.');
    const name = path.replace('/v1/', '').replace(NUMBERED, 'projects/tribo-gent/');
    if (method === 'GET') return this.#get(name);
    if (method === 'DELETE') return this.#delete(name);
    const given = bodyOf(body) as Body;
    if (name === `${PLACE}/models:upload`) return this.#upload(given);
    if (name === `${VertexAiModels.ENDPOINT}:deployModel`) return this.#deploy(given);
    if (name === `${VertexAiModels.ENDPOINT}:undeployModel`) return this.#undeploy(given);
    return notFound(name);
  }

  #get(name: string): WireAnswer {
    const operation = this.#operations.get(name);
    if (operation) return this.#look(name, operation);
    if (name === VertexAiModels.ENDPOINT)
      return answer({ name: numbered(name), deployedModels: this.deployed, trafficSplit: this.trafficSplit });
    const [, id = '', version] = /\/models\/([^@/]+)(?:@([^/]+))?$/.exec(name) ?? [];
    const versions = this.versions.get(id) ?? [];
    // Without a version the default one, which is the first.
    const found = versions.find(
      ({ versionId, versionAliases }) =>
        version === undefined || versionId === version || versionAliases.includes(version),
    );
    return found ? answer({ name: numbered(`${PLACE}/models/${id}`), ...found }) : notFound(name);
  }

  #upload({ modelId, parentModel, model }: Body): WireAnswer {
    const id = modelId ?? parentModel?.split('/').at(-1) ?? '';
    const known = this.versions.get(id);
    if (modelId !== undefined && known) return googleError(409, 'ALREADY_EXISTS', `Model ${id} already exists.`);
    if (parentModel !== undefined && !known) return notFound(parentModel);
    return this.#begin('upload', () => {
      const versionId = String((known?.length ?? 0) + 1);
      const versionAliases = [...(known ? [] : ['default']), ...(model?.versionAliases ?? [])];
      this.versions.set(id, [...(known ?? []), { versionId, versionAliases }]);
      return { model: numbered(`${PLACE}/models/${id}`), modelVersionId: versionId };
    });
  }

  #deploy({ deployedModel, trafficSplit }: Body): WireAnswer {
    const [, model = '', version = ''] = /^(.*)@(.*)$/.exec(deployedModel!.model) ?? [];
    const known = this.versions.get(model.split('/').at(-1)!) ?? [];
    if (!known.some(({ versionId }) => versionId === version)) return notFound(deployedModel!.model);
    return this.#begin('deploy', () => {
      const made = {
        ...deployedModel,
        ...{ id: String(++this.#ids), model: numbered(model), modelVersionId: version },
      };
      this.deployed = [...this.deployed, made];
      if (trafficSplit)
        this.trafficSplit = Object.fromEntries(
          Object.entries(trafficSplit).map(([id, percent]) => [id === '0' ? made.id : id, percent]),
        );
      return { deployedModel: { id: made.id } };
    });
  }

  #undeploy({ deployedModelId = '', trafficSplit }: Body): WireAnswer {
    if (!this.deployed.some(({ id }) => id === deployedModelId)) return notFound(deployedModelId);
    const split = trafficSplit ?? this.trafficSplit;
    if (this.deployed.length > 1 && (split[deployedModelId] ?? 0) > 0)
      return googleError(400, 'FAILED_PRECONDITION', `DeployedModel ${deployedModelId} has traffic assigned to it.`);
    return this.#begin('undeploy', () => {
      this.deployed = this.deployed.filter(({ id }) => id !== deployedModelId);
      this.trafficSplit = this.deployed.length === 0 ? {} : split;
      return {};
    });
  }

  #delete(name: string): WireAnswer {
    const id = name.split('/').at(-1)!;
    if (!this.versions.has(id)) return notFound(name);
    if (this.deployed.some(({ model }) => model.endsWith(`/${id}`)))
      return googleError(400, 'FAILED_PRECONDITION', `Model ${id} is deployed.`);
    return this.#begin('delete', () => {
      this.versions.delete(id);
      return {};
    });
  }

  #begin(kind: string, work: Work): WireAnswer {
    const name = `${PLACE}/operations/${++this.#ids}`;
    const fails = this.failing.indexOf(kind);
    if (fails >= 0) this.failing.splice(fails, 1);
    const error = fails >= 0 ? 'Model server never became ready.' : undefined;
    this.#operations.set(name, { looks: 0, work, error });
    return answer({ name: numbered(name) });
  }

  /** It goes on at the first look, and is done at the second. */
  #look(name: string, operation: { looks: number; work: Work; error?: string | undefined }): WireAnswer {
    operation.looks += 1;
    if (operation.looks < 2) return answer({ name: numbered(name) });
    if (operation.error) return answer({ name, done: true, error: { code: 9, message: operation.error } });
    return answer({ name: numbered(name), done: true, response: operation.work() });
  }
}

function numbered(name: string): string {
  return name.replace(PLACE, NUMBERED_PLACE);
}

function answer(body: object): WireAnswer {
  return { status: 200, body: JSON.stringify(body) };
}

function notFound(name: string): WireAnswer {
  return googleError(404, 'NOT_FOUND', `The resource ${name} does not exist.`);
}

function bodyOf(body: Buffer): unknown {
  return body.length === 0 ? undefined : JSON.parse(body.toString());
}
