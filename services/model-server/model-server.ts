import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Counter, Gauge, type Registry } from 'prom-client';
import { isPortError, PortError, type PortErrorCode } from '#core/errors.ts';
import { decodeRequest, encodeAnswer, encodeError } from '#core/inference/prediction-wire.ts';
import { proveRuntime } from '#core/inference/prove-runtime.ts';
import type { ModelInference } from '#core/ports/model-inference.ts';
import { Readiness } from '#services/shared/http/readiness.ts';
import type { Logger } from '#services/shared/observability/logger.ts';
import type { RunningService } from '#services/shared/process/run-service.ts';
import type { ModelServerConfig } from './config.ts';
import { ServedModels, type DeployedArtifact } from './served-models.ts';

/** SageMaker, and Azure ML where nothing else is configured; Vertex AI names its own. */
const PREDICT_ROUTES = ['/invocations', '/score', '/predict'];
const READY_ROUTES = ['/ping', '/health/ready'];
const LIVE_ROUTE = '/health/live';
/** SageMaker waits no longer for an answer. */
const REQUEST_TIMEOUT_MS = 60_000;

const STATUS: Readonly<Record<PortErrorCode, number>> = {
  not_found: 404,
  already_exists: 409,
  invalid_argument: 400,
  failed_precondition: 409,
  permission_denied: 403,
  resource_exhausted: 429,
  unavailable: 503,
  deadline_exceeded: 504,
  cancelled: 503,
  unimplemented: 501,
  data_loss: 422,
  internal: 500,
};

export interface ModelServerDependencies {
  readonly inference: ModelInference;
  /** The models that are deployed with the server. */
  readonly deployed: AsyncIterable<DeployedArtifact>;
  readonly logger: Logger;
  readonly metrics: Registry;
}

export interface RunningModelServer extends RunningService {
  readonly url: string;
}

/**
 * Serves models over HTTP as the clouds ask their containers to. It listens at once, and is ready when the runtime was proven and every deployed
 * model loaded. @throws PortError as {@link ServedModels.deploy}: a server whose model is not the one that was deployed must not start.
 */
export async function startModelServer(
  config: ModelServerConfig,
  dependencies: ModelServerDependencies,
): Promise<RunningModelServer> {
  const server = new ModelServer(config, dependencies);
  return server.start();
}

class ModelServer {
  readonly #config: ModelServerConfig;
  readonly #dependencies: ModelServerDependencies;
  readonly #models: ServedModels;
  readonly #readiness = new Readiness({ models: () => this.#problem });
  readonly #http: Server;
  readonly #requests: Counter<'outcome'>;
  readonly #vectors: Counter;
  #problem: string | undefined = 'models are being loaded';
  #underWay = 0;

  constructor(config: ModelServerConfig, dependencies: ModelServerDependencies) {
    this.#config = config;
    this.#dependencies = dependencies;
    this.#models = new ServedModels(dependencies.inference, config);
    const registers = [dependencies.metrics];
    this.#requests = new Counter({
      name: 'tribo_model_server_requests_total',
      help: 'Requests for predictions, by outcome: ok or the code of the error',
      labelNames: ['outcome'],
      registers,
    });
    this.#vectors = new Counter({
      name: 'tribo_model_server_vectors_total',
      help: 'Vectors that were scored',
      registers,
    });
    const models = this.#models;
    new Gauge({
      name: 'tribo_model_server_models',
      help: 'Models in memory',
      registers,
      collect() {
        this.set(models.size);
      },
    });
    this.#http = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
      void this.#answer(request, response);
    });
  }

  async start(): Promise<RunningModelServer> {
    const { host, port } = this.#config;
    await listen(this.#http, host, port);
    try {
      await this.#load();
    } catch (error) {
      await this.#close();
      throw error;
    }
    const url = `http://${host}:${(this.#http.address() as AddressInfo).port}`;
    this.#dependencies.logger.info({ url, models: this.#models.size }, 'serves models');
    return { url, close: () => this.#close() };
  }

  async #load(): Promise<void> {
    const { inference, deployed } = this.#dependencies;
    await proveRuntime(inference);
    for await (const artifact of deployed) await this.#models.deploy(artifact);
    this.#problem = undefined;
  }

  /** What is under way is finished. */
  async #close(): Promise<void> {
    this.#readiness.stopping();
    await new Promise<void>((resolve) => {
      this.#http.close(() => resolve());
      this.#http.closeIdleConnections();
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url?.split('?', 1)[0] ?? '';
    const { predictRoute, healthRoute } = this.#config;
    if (PREDICT_ROUTES.includes(path) || path === predictRoute) await this.#predict(request, response);
    else if (READY_ROUTES.includes(path) || path === healthRoute) await this.#tellHealth(response);
    else if (path === LIVE_ROUTE) send(response, 200, '{"status":"alive"}');
    else if (path === '/metrics') await this.#tellMetrics(response);
    else {
      const known = [...PREDICT_ROUTES, ...READY_ROUTES, LIVE_ROUTE, '/metrics'].join(', ');
      send(response, 404, encodeError(new PortError('unimplemented', `there is no ${path}; there are ${known}`)));
    }
  }

  async #predict(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#underWay += 1;
    try {
      const answer = await this.#score(request);
      this.#requests.inc({ outcome: 'ok' });
      send(response, 200, answer);
    } catch (error) {
      const known = isPortError(error) ? error : new PortError('internal', 'the model server failed', { cause: error });
      if (known.code === 'internal') this.#dependencies.logger.error({ err: error }, 'a prediction failed');
      this.#requests.inc({ outcome: known.code });
      request.resume();
      send(response, known instanceof TooLarge ? 413 : STATUS[known.code], encodeError(known));
    } finally {
      this.#underWay -= 1;
    }
  }

  async #score(request: IncomingMessage): Promise<string> {
    if (request.method !== 'POST') throw new PortError('invalid_argument', 'a prediction is asked for by POST');
    if (this.#underWay > this.#config.maxRequests)
      throw new PortError('resource_exhausted', `${this.#config.maxRequests} requests are under way; try again`);
    const { vectors, ...of } = decodeRequest(await readText(request, this.#config.maxBodyBytes));
    return this.#models.use(of, async (loaded, sha256) => {
      const result = await loaded.infer(vectors);
      this.#vectors.inc(vectors.length);
      const { inputLength, explains } = loaded;
      return encodeAnswer({ ...result, model: { sha256, inputLength, explains } });
    });
  }

  async #tellHealth(response: ServerResponse): Promise<void> {
    const report = await this.#readiness.report();
    send(response, report.status === 'ready' ? 200 : 503, JSON.stringify(report));
  }

  async #tellMetrics(response: ServerResponse): Promise<void> {
    const { metrics } = this.#dependencies;
    send(response, 200, await metrics.metrics(), metrics.contentType);
  }
}

class TooLarge extends PortError {
  constructor(maxBodyBytes: number) {
    super('invalid_argument', `the body is larger than ${maxBodyBytes} bytes: send fewer vectors at a time`);
  }
}

/** Of a body that is too large the rest is read and let go of, so that the answer reaches who sends it. */
function readText(request: IncomingMessage, maxBodyBytes: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.byteLength;
      if (bytes <= maxBodyBytes) return void chunks.push(chunk);
      chunks.length = 0;
      reject(new TooLarge(maxBodyBytes));
    });
    request.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    request.on('error', (error) =>
      reject(new PortError('cancelled', 'the request did not come whole', { cause: error })),
    );
  });
}

function send(response: ServerResponse, status: number, body: string, type = 'application/json'): void {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' });
  response.end(body);
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port }, resolve);
    });
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException;
    const problem = `port ${port} of ${host} cannot be listened on (${code}): stop what listens there, or choose another by --port`;
    throw new PortError('failed_precondition', problem, { cause: error });
  }
}
