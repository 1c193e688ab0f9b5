import type { ModelServer } from './model-server.ts';
import { WireServer, type WireAnswer, type WireRequest } from './wire-server.ts';

const TOKEN_PATH = '/computeMetadata/v1/instance/service-accounts/default/token';

/** Whether an answer of the container that is no success is passed on as it is, or as the message of an error of Google's. */
export type ContainerErrors = 'as they are' | 'wrapped';

/**
 * An endpoint of Vertex AI by https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.endpoints/rawPredict and
 * https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements, with errors as https://google.aip.dev/193 has them; and the metadata
 * server of a machine of Google's, https://cloud.google.com/compute/docs/access/authenticate-workloads#applications, which the library asks for tokens.
 */
export class VertexAi implements AsyncDisposable {
  readonly wire: WireServer;
  readonly metadata: WireServer;
  /** The next that ask for a token are answered so. */
  readonly tokenFaults: WireAnswer[];
  readonly #tokens: Set<string>;

  static async start(
    container: ModelServer,
    { endpoint, predictRoute, containerErrors }: VertexPlace,
  ): Promise<VertexAi> {
    const tokens = new Set<string>();
    const tokenFaults: WireAnswer[] = [];
    const metadata = await WireServer.start(
      (request) =>
        (request.path.startsWith(TOKEN_PATH) ? tokenFaults.shift() : undefined) ?? metadataOf(request, tokens),
    );
    const wire = await WireServer.start(async (request) => {
      const refusal = refusalOf(request, tokens, endpoint);
      if (refusal) return refusal;
      const { status, body } = await container.post(predictRoute, request.body);
      if (status >= 300 && containerErrors === 'wrapped') return googleError(status, 'INVALID_ARGUMENT', body);
      const headers = { 'x-vertex-ai-endpoint-id': endpoint.split('/').at(-1)!, 'x-vertex-ai-deployed-model-id': '1' };
      return { status, headers, body };
    });
    // Else the library looks for it for three seconds, also where the real ones of a cloud are.
    Object.assign(process.env, { METADATA_SERVER_DETECTION: 'assume-present' });
    return new VertexAi(wire, metadata, tokens, tokenFaults);
  }

  private constructor(wire: WireServer, metadata: WireServer, tokens: Set<string>, tokenFaults: WireAnswer[]) {
    this.tokenFaults = tokenFaults;
    this.wire = wire;
    this.metadata = metadata;
    this.#tokens = tokens;
  }

  /** Meanwhile no token that was given before is good. */
  async whileExpired(work: () => Promise<void>): Promise<void> {
    const given = [...this.#tokens];
    this.#tokens.clear();
    await work();
    for (const token of given) this.#tokens.add(token);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.wire[Symbol.asyncDispose]();
    await this.metadata[Symbol.asyncDispose]();
  }
}

export interface VertexPlace {
  /** `projects/{project}/locations/{location}/endpoints/{endpoint}` */
  readonly endpoint: string;
  /** What the container is told by AIP_PREDICT_ROUTE. */
  readonly predictRoute: string;
  readonly containerErrors: ContainerErrors;
}

export function googleError(code: number, status: string, message: string): WireAnswer {
  const info = {
    '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
    ...{ reason: status, domain: 'googleapis.com', metadata: { service: 'aiplatform.googleapis.com' } },
  };
  return { status: code, body: JSON.stringify({ error: { code, message, status, details: [info] } }) };
}

function refusalOf(
  { method, path, headers }: WireRequest,
  tokens: ReadonlySet<string>,
  endpoint: string,
): WireAnswer | undefined {
  const [, token = ''] = /^Bearer (.+)$/.exec(headers.authorization ?? '') ?? [];
  if (!tokens.has(token)) return googleError(401, 'UNAUTHENTICATED', 'Request had invalid authentication credentials.');
  if (method === 'POST' && path === `/v1/${endpoint}:rawPredict`) return undefined;
  return googleError(404, 'NOT_FOUND', `Endpoint ${path} is not found.`);
}

function metadataOf({ path, headers }: WireRequest, tokens: Set<string>): WireAnswer {
  const flavor = { 'metadata-flavor': 'Google' };
  if (headers['metadata-flavor'] !== 'Google') return { status: 403, body: '' };
  if (path.startsWith(TOKEN_PATH)) {
    const access_token = `token-${tokens.size}-${Math.random().toString(36).slice(2)}`;
    tokens.add(access_token);
    return {
      status: 200,
      headers: flavor,
      body: JSON.stringify({ access_token, expires_in: 3599, token_type: 'Bearer' }),
    };
  }
  const text = { ...flavor, 'content-type': 'text/plain' };
  if (path.startsWith('/computeMetadata/v1/universe/')) return { status: 200, headers: text, body: 'googleapis.com' };
  if (path.startsWith('/computeMetadata/v1/project/')) return { status: 200, headers: text, body: 'tribo-akron' };
  return { status: path.startsWith('/computeMetadata/v1/instance') ? 200 : 404, headers: text, body: '' };
}
