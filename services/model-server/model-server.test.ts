import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '#core/contracts/until.ts';
import { encodeOnnxModel } from '#core/inference/onnx-model.ts';
import type { LoadedModel, ModelInference } from '#core/ports/model-inference.ts';
import { OnnxModelInference } from '#adapters/embedded/onnx-model-inference/onnx-model-inference.ts';
import { createLogger } from '#services/shared/observability/logger.ts';
import { createMetricsRegistry } from '#services/shared/observability/metrics.ts';
import { freePort } from '#test/peers/peer-process.ts';
import { modelWithoutRoom } from '#test/support/model-without-room.ts';
import { composeModelServer } from './composition.ts';
import { parseModelServerConfig } from './config.ts';
import { startModelServer } from './model-server.ts';
import { ServedModels } from './served-models.ts';

/** score = x0 + x1 + offset. */
const artifactOf = (offset: number): Uint8Array =>
  encodeOnnxModel({
    name: 'sum',
    description: '',
    producer: { name: 'tribo', version: 'test' },
    inputs: [{ name: 'x', type: 'float64', shape: ['batch', 2] }],
    outputs: [{ name: 'score', type: 'float64', shape: ['batch', 1] }],
    constants: [
      { name: 'ones', dims: [2, 1], data: Float64Array.of(1, 1) },
      { name: 'offset', dims: [1], data: Float64Array.of(offset) },
    ],
    nodes: [
      { op: 'MatMul', inputs: ['x', 'ones'], outputs: ['sum'] },
      { op: 'Add', inputs: ['sum', 'offset'], outputs: ['score'] },
    ],
    metadata: {},
  });
const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const [SUM, SUM_AND_10] = [artifactOf(0), artifactOf(10)];

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tribo-models-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const deploy = (artifact: Uint8Array, name = `${sha256Of(artifact)}.onnx`) =>
  writeFileSync(join(folder, name), artifact);

async function serve(args: readonly string[] = [], env: Readonly<Record<string, string>> = {}) {
  const config = parseModelServerConfig(['--port', '0', '--models', folder, ...args], env, () => false);
  const server = await composeModelServer(config, { level: 'silent' });
  return {
    ...server,
    ask: async (body: unknown, path = '/invocations') => {
      const text = typeof body === 'string' ? body : JSON.stringify(body);
      const response = await fetch(`${server.url}${path}`, { method: 'POST', body: text });
      return { status: response.status, body: await response.json() };
    },
    [Symbol.asyncDispose]: () => server.close(),
  };
}

const failing = (code: string, message: RegExp) => ({ error: { code, message: expect.stringMatching(message) } });
const withModel = (artifact: Uint8Array, instances: readonly (readonly number[])[] = [[1, 2]]) => ({
  instances,
  parameters: { model: sha256Of(artifact), artifact: Buffer.from(artifact).toString('base64') },
});
const knowing = (artifact: Uint8Array) => ({ instances: [[1, 2]], parameters: { model: sha256Of(artifact) } });

describe('a model server', () => {
  it.each([
    ['SageMaker', '/invocations', '/ping', {}],
    ['Azure ML', '/score', '/health/ready', {}],
    ['Vertex AI', '/v1/x:predict', '/v1/up', { AIP_PREDICT_ROUTE: '/v1/x:predict', AIP_HEALTH_ROUTE: '/v1/up' }],
  ])('answers predictions and health where %s asks for them', async (_cloud, predict, health, env) => {
    deploy(SUM);
    await using server = await serve([], env);
    expect((await fetch(`${server.url}${health}`)).status).toBe(200);
    expect(
      await server.ask(
        {
          instances: [
            [1, 2],
            [3, 4],
          ],
        },
        predict,
      ),
    ).toEqual({
      status: 200,
      body: {
        predictions: [{ score: 3 }, { score: 7 }],
        model: { sha256: sha256Of(SUM), inputLength: 2, explains: false },
      },
    });
  });

  it('serves each of several models by its checksum, also from folders below', async () => {
    deploy(SUM);
    mkdirSync(join(folder, 'further'));
    deploy(SUM_AND_10, `further/${sha256Of(SUM_AND_10)}.onnx`);
    await using server = await serve();
    expect((await server.ask(knowing(SUM))).body).toMatchObject({ predictions: [{ score: 3 }] });
    expect((await server.ask(knowing(SUM_AND_10))).body).toMatchObject({ predictions: [{ score: 13 }] });
    expect(await server.ask({ instances: [[1, 2]] })).toEqual({
      status: 400,
      body: failing('invalid_argument', /^2 models are deployed here: say by parameters.model which/),
    });
  });

  it('does not start with a model that is another than its name says, or none', async () => {
    deploy(SUM, 'model.onnx');
    await expect(serve()).rejects.toMatchObject({
      code: 'data_loss',
      message: expect.stringContaining(`model.onnx must be named by the SHA-256 of its bytes, ${sha256Of(SUM)}.onnx`),
    });
    rmSync(join(folder, 'model.onnx'));
    const none = new TextEncoder().encode('model.joblib');
    deploy(none);
    await expect(serve()).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  it('does not start without its models, and says where they should be', async () => {
    await expect(serve(['--models', join(folder, 'absent')])).rejects.toMatchObject({
      code: 'failed_precondition',
      message: expect.stringContaining(join(folder, 'absent')),
    });
  });

  it('is not ready, and says so, until its models are loaded', async () => {
    const loading = Promise.withResolvers<undefined>();
    async function* late() {
      await loading.promise;
      yield { name: `${sha256Of(SUM)}.onnx`, bytes: SUM };
    }
    const port = await freePort();
    await using inference = new OnnxModelInference({ maxLoadedModels: 4 });
    const starting = startModelServer(
      parseModelServerConfig(['--port', String(port)], {}, () => false),
      {
        ...{ inference, deployed: late() },
        logger: createLogger({ service: 'test', level: 'silent' }),
        metrics: createMetricsRegistry('test', { processMetrics: false }),
      },
    );
    const url = `http://127.0.0.1:${port}`;
    await until(async () => (await fetch(`${url}/health/live`).catch(() => undefined))?.status === 200);
    const unready = await fetch(`${url}/ping`);
    expect([unready.status, await unready.json()]).toMatchObject([503, { status: 'not-ready' }]);
    loading.resolve(undefined);
    const server = await starting;
    await until(async () => (await fetch(`${url}/ping`)).status === 200);
    await server.close();
  });

  it.each([
    ['no JSON', 'x', 400, failing('invalid_argument', /^not JSON/)],
    ['no instances', {}, 400, failing('invalid_argument', /^instances must be a list/)],
    ['a word for a number', { instances: [[1, 'two']] }, 400, failing('invalid_argument', /instances\[0\]\[1\]/)],
    [
      'a vector of another length',
      { instances: [[1]] },
      400,
      failing('invalid_argument', /1 elements, the model takes 2/),
    ],
    ['a number that is not finite', { instances: [[1, 'NaN']] }, 400, failing('invalid_argument', /non-finite/)],
    ['too many vectors', { instances: Array(4097).fill([1, 2]) }, 400, failing('invalid_argument', /at most 4096/)],
    ['a model it does not have', knowing(SUM_AND_10), 404, failing('not_found', /there is no model [0-9a-f]{64} here/)],
    [
      'another artifact than is named',
      { instances: [], parameters: { ...withModel(SUM_AND_10).parameters, model: 'b'.repeat(64) } },
      422,
      failing('data_loss', /has the SHA-256 [0-9a-f]{64}, not bbb/),
    ],
    ['an artifact that is no model', withModel(Uint8Array.of(1)), 400, failing('invalid_argument', /not a model/)],
    [
      'a model that finds no memory to be loaded, as one to try again',
      withModel(modelWithoutRoom('to load')),
      429,
      failing('resource_exhausted', /no memory to load this model: try again/),
    ],
    [
      'vectors that a model finds no memory for, as such to try again',
      withModel(modelWithoutRoom('to run')),
      429,
      failing('resource_exhausted', /no memory to run this model on these vectors: try again/),
    ],
    ['a body that is too large', ' '.repeat(70_000), 413, failing('invalid_argument', /larger than 65536 bytes/)],
  ])('refuses %s with what is wrong, and goes on', async (_what, body, status, error) => {
    deploy(SUM);
    await using server = await serve(['--max-body-bytes', '65536']);
    expect(await server.ask(body)).toEqual({ status, body: error });
    expect((await server.ask({ instances: [[1, 2]] })).body).toMatchObject({ predictions: [{ score: 3 }] });
  });

  it.each(['to load', 'to run'] as const)(
    'tells whoever brings a model that it never has memory %s to stop, and serves others on',
    async (when) => {
      deploy(SUM);
      await using server = await serve();
      const statuses: number[] = [];
      for (let n = 0; n < 4; n++) statuses.push((await server.ask(withModel(modelWithoutRoom(when)))).status);
      expect(statuses).toEqual([429, 429, 409, 409]);
      const { body } = await server.ask(withModel(modelWithoutRoom(when)));
      expect(body).toEqual(failing('failed_precondition', /had no memory to .* 3 times in succession/));
      expect((await server.ask(knowing(SUM))).body).toMatchObject({ predictions: [{ score: 3 }] });
    },
  );

  it('refuses other methods and paths, and says which there are', async () => {
    await using server = await serve();
    const got = await fetch(`${server.url}/score`);
    expect([got.status, await got.json()]).toEqual([400, failing('invalid_argument', /by POST/)]);
    expect(await server.ask({}, '/predictions')).toEqual({ status: 404, body: failing('unimplemented', /\/score/) });
  });

  it('refuses one request more than it may have under way', async () => {
    deploy(SUM);
    await using server = await serve(['--max-requests', '1']);
    const { port } = new URL(server.url);
    const slow = request({ port, path: '/score', method: 'POST', headers: { 'content-length': '19' } });
    slow.write('{"instances":');
    await until(async () => (await server.ask({ instances: [] })).status === 429);
    slow.end('[[1,2]');
    slow.destroy();
    slow.on('error', () => undefined);
    await until(async () => (await server.ask({ instances: [] })).status === 200);
  });

  it('keeps a model that came with a request for those that follow', async () => {
    await using server = await serve();
    expect((await server.ask(withModel(SUM_AND_10))).body).toMatchObject({ predictions: [{ score: 13 }] });
    expect((await server.ask(knowing(SUM_AND_10))).body).toMatchObject({ predictions: [{ score: 13 }] });
  });

  it('takes no model with a request where that is switched off', async () => {
    await using server = await serve(['--uploads', 'off']);
    const body = failing('failed_precondition', /deploy [0-9a-f]{64}.onnx in its location/);
    expect(await server.ask(withModel(SUM))).toEqual({ status: 409, body });
  });

  it('runs as a process, started as SageMaker does, counts what it does, and ends on SIGTERM', async () => {
    deploy(SUM);
    const port = String(await freePort());
    const main = join(import.meta.dirname, 'main.ts');
    const given = [main, '--port', port, '--models', folder, 'serve'];
    const child = spawn(process.execPath, given, { stdio: 'ignore' });
    const ended = once(child, 'exit');
    try {
      const url = `http://127.0.0.1:${port}`;
      await until(async () => (await fetch(`${url}/ping`).catch(() => undefined))?.status === 200, 'ping', 60_000);
      await fetch(`${url}/score`, { method: 'POST', body: '{"instances":[[1,2],[3,4]]}' });
      const metrics = await (await fetch(`${url}/metrics`)).text();
      expect(metrics).toContain('tribo_model_server_requests_total{outcome="ok",service="model-server"} 1');
      expect(metrics).toContain('tribo_model_server_vectors_total{service="model-server"} 2');
      expect(metrics).toContain('tribo_model_server_models{service="model-server"} 1');
      child.kill('SIGTERM');
      expect(await ended).toEqual([0, null]);
    } finally {
      child.kill('SIGKILL');
    }
  });
});

describe('the models in memory', () => {
  const unbounded = { uploads: 'on', maxModelBytes: Number.MAX_SAFE_INTEGER } as const;
  const ask = (artifact: Uint8Array) => ({ model: sha256Of(artifact), artifact });
  const known = (artifact: Uint8Array) => ({ model: sha256Of(artifact) });
  const score = async (loaded: LoadedModel) => (await loaded.infer([Float64Array.of(1, 2)])).scores[0];

  it('are bounded: the least recently used goes, one that was deployed or is in use never', async () => {
    await using inference = new OnnxModelInference({ maxLoadedModels: 3 });
    const models = new ServedModels(inference, { ...unbounded, maxModels: 3 });
    await models.deploy({ name: `${sha256Of(SUM)}.onnx`, bytes: SUM });
    await models.use(ask(artifactOf(1)), score);
    await models.use(ask(artifactOf(2)), score);
    await models.use(known(artifactOf(1)), async (loaded) => {
      await models.use(ask(artifactOf(3)), async (other) => {
        expect(await score(other)).toBe(6);
        await expect(models.use(ask(artifactOf(4)), score)).rejects.toMatchObject({ code: 'resource_exhausted' });
      });
      expect(await score(loaded)).toBe(4);
    });
    await expect(models.use(known(artifactOf(2)), score)).rejects.toMatchObject({ code: 'not_found' });
    expect(await models.use({}, score)).toBe(3);
    expect(models.size).toBe(3);
  });

  it('are bounded in bytes, too: as many of the least recently used go as the next one needs', async () => {
    await using inference = new OnnxModelInference({ maxLoadedModels: 9 });
    const small = artifactOf(1);
    const maxModelBytes = 3 * small.byteLength;
    const models = new ServedModels(inference, { uploads: 'on', maxModels: 9, maxModelBytes });
    const others = [2, 3].map(artifactOf);
    for (const artifact of [small, ...others]) await models.use(ask(artifact), score);
    expect(models.size).toBe(3);
    await models.use(ask(artifactOf(4)), score);
    expect(models.size).toBe(3);
    await expect(models.use(known(small), score)).rejects.toMatchObject({ code: 'not_found' });
    await models.use(known(others[0]!), () =>
      models.use(known(others[1]!), () =>
        models.use(known(artifactOf(4)), () =>
          expect(models.use(ask(small), score)).rejects.toMatchObject({
            code: 'resource_exhausted',
            message: expect.stringContaining('--max-model-bytes'),
          }),
        ),
      ),
    );
    const tiny = new ServedModels(inference, { uploads: 'on', maxModels: 9, maxModelBytes: small.byteLength - 1 });
    await expect(tiny.use(ask(small), score)).rejects.toMatchObject({ code: 'invalid_argument' });
    expect(tiny.size).toBe(0);
  });

  it('are loaded once for requests that come together, and again after a load that failed', async () => {
    await using onnx = new OnnxModelInference({ maxLoadedModels: 3 });
    let loads = 0;
    const inference: ModelInference = {
      load: async (artifact) => {
        loads += 1;
        if (loads === 1) throw new Error('the runtime hiccuped');
        return onnx.load(artifact);
      },
      close: () => onnx.close(),
    };
    const models = new ServedModels(inference, { ...unbounded, maxModels: 3 });
    await expect(models.use(ask(SUM), score)).rejects.toThrow('hiccuped');
    expect(models.size).toBe(0);
    expect(await Promise.all([1, 2, 3].map(() => models.use(ask(SUM), score)))).toEqual([3, 3, 3]);
    expect(loads).toBe(2);
  });
});
