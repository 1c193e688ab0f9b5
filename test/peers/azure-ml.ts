import { startManagedIdentity } from './managed-identity.ts';
import type { ModelServer } from './model-server.ts';
import { WireServer, type WireAnswer, type WireRequest } from './wire-server.ts';

const RESOURCE = 'https://ml.azure.com';

/**
 * A managed online endpoint of Azure Machine Learning with Microsoft Entra tokens, by what Azure documents of
 * https://learn.microsoft.com/azure/machine-learning/how-to-authenticate-online-endpoint (the request) and of
 * https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-online-endpoints#http-status-codes (the statuses); and
 * the managed identity that has its tokens.
 */
export class AzureMl implements AsyncDisposable {
  readonly wire: WireServer;
  readonly identity: WireServer;
  readonly #tokens: Set<string>;

  static async start(container: ModelServer, deployments: readonly string[]): Promise<AzureMl> {
    const tokens = new Set<string>();
    const identity = await startManagedIdentity(RESOURCE, tokens);
    const wire = await WireServer.start(async (request) => {
      const refusal = refusalOf(request, tokens, deployments);
      if (refusal) return refusal;
      const { status, body } = await container.post('/score', request.body);
      return status === 200 ? { status, body } : azureModelError(status, body);
    });
    return new AzureMl(wire, identity, tokens);
  }

  private constructor(wire: WireServer, identity: WireServer, tokens: Set<string>) {
    this.wire = wire;
    this.identity = identity;
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
    await this.identity[Symbol.asyncDispose]();
  }
}

/** The container answered so, with anything but 200. */
export function azureModelError(status: number, body: string): WireAnswer {
  const headers = {
    'ms-azureml-model-error-statuscode': String(status),
    'ms-azureml-model-error-reason': 'model_error',
  };
  return { status: 424, headers, body };
}

/** An error of the endpoint's own. */
export function azureError(status: number, message: string): WireAnswer {
  return { status, body: JSON.stringify({ error: { code: 'UserError', message } }) };
}

function refusalOf(
  { method, path, headers }: WireRequest,
  tokens: ReadonlySet<string>,
  deployments: readonly string[],
): WireAnswer | undefined {
  const [, token = ''] = /^Bearer (.+)$/.exec(headers.authorization ?? '') ?? [];
  if (!tokens.has(token)) return azureError(401, 'your token is expired, or you may not score');
  if (method !== 'POST' || path !== '/score') return azureError(404, 'your URL is not correct');
  const deployment = headers['azureml-model-deployment'];
  if (deployment !== undefined && !deployments.includes(String(deployment)))
    return azureError(404, `there is no deployment ${String(deployment)}`);
  return undefined;
}
