import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { modelInferenceContract } from '#core/contracts/model-inference.contract.ts';
import { PortError } from '#core/errors.ts';
import { encodeError } from '#core/inference/prediction-wire.ts';
import { proveRuntime } from '#core/inference/prove-runtime.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { asDocumented, goldenErrors, goldenPairs, newestLike, wireAnswer } from '#test/peers/golden-pairs.ts';
import { ModelServer } from '#test/peers/model-server.ts';
import { googleError, VertexAi, type ContainerErrors } from '#test/peers/vertex-ai.ts';
import type { Fault, WireAnswer } from '#test/peers/wire-server.ts';
import { vertexAiModelInferenceConfigSchema } from './config.ts';
import { VertexAiModelInference } from './vertex-ai-model-inference.ts';

const PLACE = { project: 'tribo-akron', location: 'europe-west4', endpointId: '4711' };
const ENDPOINT = 'projects/tribo-akron/locations/europe-west4/endpoints/4711';
/** As Vertex AI tells its containers: the ids of endpoint and deployed model. */
const PREDICT_ROUTE = '/v1/endpoints/4711/deployedModels/1:predict';

let container: ModelServer;
const vertex = new Map<ContainerErrors, VertexAi>();

beforeAll(async () => {
  container = await ModelServer.start({ AIP_PREDICT_ROUTE: PREDICT_ROUTE, AIP_HEALTH_ROUTE: '/v1/up' });
  for (const containerErrors of ['wrapped', 'as they are'] as const) {
    const place = { endpoint: ENDPOINT, predictRoute: PREDICT_ROUTE, containerErrors };
    vertex.set(containerErrors, await VertexAi.start(container, place));
  }
}, 120_000);

afterAll(async () => {
  for (const each of vertex.values()) await each[Symbol.asyncDispose]();
  await container[Symbol.asyncDispose]();
});

const plain = () => vertex.get('as they are')!;

async function open(given: object = {}, peer = plain()) {
  process.env['GCE_METADATA_HOST'] = new URL(peer.metadata.url).host;
  const config = vertexAiModelInferenceConfigSchema.parse({ ...PLACE, origin: peer.wire.url, ...given });
  const inference = await VertexAiModelInference.open(config);
  return { inference, [Symbol.asyncDispose]: () => inference.close() };
}

describeContract(modelInferenceContract, 'Vertex AI (its protocol, the model server)', () => open());
describeContract(modelInferenceContract, 'Vertex AI that wraps what its container says (its protocol)', () =>
  open({}, vertex.get('wrapped')),
);

describe('a prediction', () => {
  it('is asked for as the API reference has it, with a token of the default credentials', async () => {
    await using harness = await open();
    await proveRuntime(harness.inference);
    const { method, path, headers } = plain().wire.requests.at(-1)!;
    expect({ method, path }).toEqual({ method: 'POST', path: `/v1/${ENDPOINT}:rawPredict` });
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      authorization: expect.stringMatching(/^Bearer token-/),
    });
  });

  it('asks for a token once, and not for each request', async () => {
    await using harness = await open();
    const tokens = () => plain().metadata.requests.filter(({ path }) => path.includes('/token')).length;
    const before = tokens();
    for (let i = 0; i < 3; i++) await proveRuntime(harness.inference);
    expect(tokens() - before).toBe(1);
  });

  it('with a token that is good no more is permission_denied', async () => {
    await using harness = await open();
    await proveRuntime(harness.inference);
    await plain().whileExpired(() =>
      expect(proveRuntime(harness.inference)).rejects.toMatchObject({ code: 'permission_denied' }),
    );
  });

  it('of an endpoint that is not there is unavailable: it may be being replaced', async () => {
    await using harness = await open({ endpointId: '4712' });
    await expect(proveRuntime(harness.inference)).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('a sign-in', () => {
  const body = JSON.stringify({ error: 'invalid_grant', error_description: 'Token has been expired or revoked.' });
  const headers = { 'metadata-flavor': 'Google' };

  it.each<[what: string, code: string, answer: WireAnswer]>([
    ['is refused as a bad request', 'permission_denied', { status: 400, headers, body }],
    ['is forbidden', 'permission_denied', { status: 403, headers, body: '' }],
    ['is answered by somebody else', 'unavailable', { status: 200, body: '{}' }],
  ])('that %s is no fault of the prediction, but %s', async (_what, code, answer) => {
    await using harness = await open();
    plain().tokenFaults.push(answer);
    await expect(proveRuntime(harness.inference)).rejects.toMatchObject({ code });
    await expect(proveRuntime(harness.inference)).resolves.toBeUndefined();
  });
});

describe('the peer of Vertex AI', () => {
  it.each(goldenPairs('vertex-ai'))('is asked and answers as Google documents: $example', async (pair) => {
    await using harness = await open();
    await using absent = await open({ endpointId: '4712' });
    await proveRuntime(harness.inference);
    await expect(proveRuntime(absent.inference)).rejects.toMatchObject({ code: 'unavailable' });
    await plain().whileExpired(() =>
      expect(proveRuntime(harness.inference)).rejects.toMatchObject({ code: 'permission_denied' }),
    );
    expect(newestLike(pair, plain().wire.exchanges)).toMatchObject(asDocumented(pair));
  });
});

/** Of each error that Google documents. */
const CODES: Readonly<Record<string, string>> = {
  RESOURCE_EXHAUSTED: 'resource_exhausted',
  INVALID_ARGUMENT: 'invalid_argument',
  // An endpoint without a model: it may be being replaced.
  FAILED_PRECONDITION: 'unavailable',
  DEADLINE_EXCEEDED: 'unavailable',
  PERMISSION_DENIED: 'permission_denied',
  INTERNAL: 'unavailable',
  UNAVAILABLE: 'unavailable',
};

describe('an error of Vertex AI', () => {
  it.each(goldenErrors('vertex-ai').map((error) => [error.example, CODES[error.example], error] as const))(
    'that Google documents as %s is told as %s',
    async (_example, code, error) => {
      await using harness = await open();
      plain().wire.failNext(wireAnswer(error));
      await expect(proveRuntime(harness.inference)).rejects.toMatchObject({ code });
      await expect(proveRuntime(harness.inference)).resolves.toBeUndefined();
    },
  );

  it.each<[what: string, code: string, fault: Fault]>([
    ['a request that is too large', 'invalid_argument', googleError(413, 'INVALID_ARGUMENT', 'exceeds 1.5 MB')],
    [
      'a container that has too much to do',
      'resource_exhausted',
      { status: 429, body: encodeError(new PortError('resource_exhausted', 'busy')) },
    ],
    ['a container that is another', 'failed_precondition', { status: 200, body: '{"predictions":[1]}' }],
    ['a connection that breaks', 'unavailable', 'reset'],
  ])('that is %s is told as %s', async (_what, code, fault) => {
    await using harness = await open();
    plain().wire.failNext(fault);
    await expect(proveRuntime(harness.inference)).rejects.toMatchObject({ code });
    await expect(proveRuntime(harness.inference)).resolves.toBeUndefined();
  });

  it('is told once it has not answered within the limit of time', async () => {
    await using harness = await open({ timeoutMs: 500 });
    await proveRuntime(harness.inference);
    plain().wire.failNext('hang');
    await expect(proveRuntime(harness.inference)).rejects.toMatchObject({ code: 'deadline_exceeded' });
  });
});
