import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { modelInferenceContract } from '#core/contracts/model-inference.contract.ts';
import { DEFAULT_INDICATOR_PARAMETERS } from '#core/inference/health-indicator.ts';
import { healthGraph } from '#core/inference/health-model.ts';
import { encodeOnnxModel } from '#core/inference/onnx-model.ts';
import { decodeRequest, encodeError } from '#core/inference/prediction-wire.ts';
import { proveRuntime } from '#core/inference/prove-runtime.ts';
import { PortError } from '#core/errors.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { asDocumented, goldenErrors, goldenPairs, newestLike, wireAnswer } from '#test/peers/golden-pairs.ts';
import { ModelServer } from '#test/peers/model-server.ts';
import { modelError, SagemakerRuntime } from '#test/peers/sagemaker-runtime.ts';
import type { Fault } from '#test/peers/wire-server.ts';
import { sagemakerModelInferenceConfigSchema } from './config.ts';
import { SagemakerModelInference } from './sagemaker-model-inference.ts';

const PLACE = { region: 'eu-central-1', endpointName: 'akron' };

let container: ModelServer;
let sagemaker: SagemakerRuntime;

beforeAll(async () => {
  container = await ModelServer.start();
  sagemaker = await SagemakerRuntime.start(container, PLACE);
}, 120_000);

afterAll(async () => {
  await sagemaker[Symbol.asyncDispose]();
  await container[Symbol.asyncDispose]();
});

const configOf = (given: object = {}) =>
  sagemakerModelInferenceConfigSchema.parse({ ...PLACE, endpoint: sagemaker.wire.url, ...given });

async function open(given: object = {}) {
  const inference = await SagemakerModelInference.open(configOf(given));
  return { inference, [Symbol.asyncDispose]: () => inference.close() };
}

describeContract(modelInferenceContract, 'SageMaker (its protocol, the model server)', open);
describeContract(modelInferenceContract, 'SageMaker in small requests (its protocol, the model server)', () =>
  open({ maxRequestBytes: 65_536 }),
);

describe('an invocation', () => {
  it('is the request of the API reference, signed', async () => {
    await using harness = await open({ targetVariant: 'canary' });
    await proveRuntime(harness.inference);
    const { method, path, headers } = sagemaker.wire.requests.at(-1)!;
    expect({ method, path }).toEqual({ method: 'POST', path: '/endpoints/akron/invocations' });
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      accept: 'application/json',
      'x-amzn-sagemaker-target-variant': 'canary',
      authorization: expect.stringMatching(/^AWS4-HMAC-SHA256 Credential=test\/\d{8}\/eu-central-1\/sagemaker\//),
    });
  });

  it('of somebody else is refused as permission_denied', async () => {
    const { AWS_SECRET_ACCESS_KEY } = process.env;
    process.env['AWS_SECRET_ACCESS_KEY'] = 'another';
    try {
      await using harness = await open();
      await expect(proveRuntime(harness.inference)).rejects.toMatchObject({ code: 'permission_denied' });
    } finally {
      process.env['AWS_SECRET_ACCESS_KEY'] = AWS_SECRET_ACCESS_KEY;
    }
  });

  it('of an endpoint that is not there is unavailable: it may be being replaced', async () => {
    await using harness = await open({ endpointName: 'absent' });
    await expect(proveRuntime(harness.inference)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('Endpoint absent of account'),
    });
  });
});

describe('the peer of SageMaker’s runtime', () => {
  it.each(goldenPairs('sagemaker-runtime'))('is asked and answers as AWS documents: $example', async (pair) => {
    await using harness = await open({ targetVariant: 'canary' });
    await using absent = await open({ endpointName: 'absent' });
    const notAModel = harness.inference.load(new Uint8Array(8));
    await expect(notAModel).rejects.toMatchObject({ code: 'invalid_argument' });
    await proveRuntime(harness.inference);
    await expect(proveRuntime(absent.inference)).rejects.toMatchObject({ code: 'unavailable' });
    expect(newestLike(pair, sagemaker.wire.exchanges)).toMatchObject(asDocumented(pair));
  });
});

/** Of each error that AWS documents. */
const CODES: Readonly<Record<string, string>> = {
  InternalDependencyException: 'unavailable',
  InternalFailure: 'unavailable',
  ModelError: 'unavailable',
  ModelNotReadyException: 'unavailable',
  ServiceUnavailable: 'unavailable',
  ValidationError: 'invalid_argument',
  AccessDeniedException: 'permission_denied',
  ExpiredTokenException: 'permission_denied',
  ThrottlingException: 'resource_exhausted',
};

describe('a model', () => {
  const graph = healthGraph({
    ...{ kind: 'log-level-baseline', version: 1, trainedOn: 3, parameters: DEFAULT_INDICATOR_PARAMETERS },
    ...{ features: ['rms_g'], mean: [0], scale: [1] },
  });
  const vectors = [Float64Array.of(1)];

  it('is sent again to a replica that does not have it', async () => {
    await using harness = await open();
    const model = await harness.inference.load(encodeOnnxModel(graph));
    const before = sagemaker.wire.requests.length;
    sagemaker.wire.failNext(modelError(404, encodeError(new PortError('not_found', 'there is no model here'))));
    expect([...(await model.infer(vectors)).scores]).toEqual([0]);
    const [bare, whole] = sagemaker.wire.requests.slice(before).map(({ body }) => decodeRequest(body.toString()));
    expect(bare).toMatchObject({ model: whole?.model, vectors });
    expect(bare).not.toHaveProperty('artifact');
    expect(whole?.artifact).toEqual(Buffer.from(encodeOnnxModel(graph)));
  });

  it('that does not fit into a request must be deployed, which is said', async () => {
    await using harness = await open({ maxRequestBytes: 65_536 });
    const large = encodeOnnxModel({ ...graph, metadata: { notes: 'x'.repeat(65_536) } });
    await expect(harness.inference.load(large)).rejects.toMatchObject({
      code: 'failed_precondition',
      message: expect.stringMatching(/does not have the model [0-9a-f]{64}, .* deploy it there$/),
    });
  });
});

describe('an error of SageMaker', () => {
  it.each(goldenErrors('sagemaker-runtime').map((error) => [error.example, CODES[error.example], error] as const))(
    'that AWS documents as %s is told as %s',
    async (_example, code, error) => {
      await using harness = await open();
      sagemaker.wire.failNext(wireAnswer(error));
      await expect(proveRuntime(harness.inference)).rejects.toMatchObject({ code });
      await expect(proveRuntime(harness.inference)).resolves.toBeUndefined();
    },
  );

  it.each<[what: string, code: string, fault: Fault]>([
    ['a container that gives no answer in time', 'unavailable', modelError(0, 'Invocation timed out')],
    [
      'a container that has too much to do',
      'resource_exhausted',
      modelError(429, encodeError(new PortError('resource_exhausted', 'busy'))),
    ],
    ['a container that is another', 'failed_precondition', { status: 200, body: '{"outputs":[]}' }],
    ['a connection that breaks', 'unavailable', 'reset'],
  ])('that is %s is told as %s', async (_what, code, fault) => {
    await using harness = await open();
    sagemaker.wire.failNext(fault);
    await expect(proveRuntime(harness.inference)).rejects.toMatchObject({ code });
    await expect(proveRuntime(harness.inference)).resolves.toBeUndefined();
  });

  it('is told once it has not answered within the limit of time', async () => {
    await using harness = await open({ timeoutMs: 100 });
    sagemaker.wire.failNext('hang');
    await expect(proveRuntime(harness.inference)).rejects.toMatchObject({ code: 'deadline_exceeded' });
  });
});
