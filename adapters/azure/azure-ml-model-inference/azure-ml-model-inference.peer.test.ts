import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { modelInferenceContract } from '#core/contracts/model-inference.contract.ts';
import { PortError } from '#core/errors.ts';
import { encodeError } from '#core/inference/prediction-wire.ts';
import { proveRuntime } from '#core/inference/prove-runtime.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { AzureMl, azureError, azureModelError } from '#test/peers/azure-ml.ts';
import { asDocumented, goldenErrors, goldenPairs, newestLike, wireAnswer } from '#test/peers/golden-pairs.ts';
import { ModelServer } from '#test/peers/model-server.ts';
import type { Fault } from '#test/peers/wire-server.ts';
import { azureMlModelInferenceConfigSchema } from './config.ts';
import { AzureMlModelInference } from './azure-ml-model-inference.ts';

let container: ModelServer;
let azure: AzureMl;

beforeAll(async () => {
  container = await ModelServer.start();
  azure = await AzureMl.start(container, ['blue', 'green']);
}, 120_000);

afterAll(async () => {
  await azure[Symbol.asyncDispose]();
  await container[Symbol.asyncDispose]();
});

async function open(given: object = {}) {
  const scoringUri = `${azure.wire.url}/score`;
  const inference = await AzureMlModelInference.open(azureMlModelInferenceConfigSchema.parse({ scoringUri, ...given }));
  return { inference, [Symbol.asyncDispose]: () => inference.close() };
}

describeContract(modelInferenceContract, 'Azure ML (its protocol, the model server)', open);

describe('a scoring request', () => {
  it('is the one that Azure documents, with a token of the default chain and the deployment', async () => {
    await using harness = await open({ deployment: 'green' });
    await proveRuntime(harness.inference);
    const { method, path, headers } = azure.wire.requests.at(-1)!;
    expect({ method, path }).toEqual({ method: 'POST', path: '/score' });
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      authorization: expect.stringMatching(/^Bearer token-/),
      'azureml-model-deployment': 'green',
    });
  });

  it('asks for a token once, and not for each request', async () => {
    await using harness = await open();
    const before = azure.identity.requests.length;
    for (let i = 0; i < 3; i++) await proveRuntime(harness.inference);
    expect(azure.identity.requests.length - before).toBeLessThanOrEqual(1);
  });

  it('with a token that is good no more is permission_denied', async () => {
    await using harness = await open();
    await proveRuntime(harness.inference);
    await azure.whileExpired(() =>
      expect(proveRuntime(harness.inference)).rejects.toMatchObject({ code: 'permission_denied' }),
    );
  });

  it('without an identity is permission_denied', async () => {
    const { AZURE_TOKEN_CREDENTIALS } = process.env;
    process.env['AZURE_TOKEN_CREDENTIALS'] = 'EnvironmentCredential';
    try {
      await using harness = await open();
      await expect(proveRuntime(harness.inference)).rejects.toMatchObject({ code: 'permission_denied' });
    } finally {
      process.env['AZURE_TOKEN_CREDENTIALS'] = AZURE_TOKEN_CREDENTIALS;
    }
  });

  it('for a deployment that is not there is unavailable: it may be being replaced', async () => {
    await using harness = await open({ deployment: 'red' });
    await expect(proveRuntime(harness.inference)).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('the peer of an online endpoint', () => {
  it.each(goldenPairs('azure-ml'))('is asked and answers as Azure documents: $example', async (pair) => {
    await using harness = await open({ deployment: 'green' });
    await using absent = await open({ deployment: 'red' });
    await proveRuntime(harness.inference);
    const { authorization = '' } = azure.wire.requests.at(-1)!.headers;
    if (pair.request.body) {
      const headers = { authorization, 'content-type': 'application/json' };
      await fetch(`${azure.wire.url}/score`, { method: 'POST', headers, body: JSON.stringify(pair.request.body) });
    }
    await expect(proveRuntime(absent.inference)).rejects.toMatchObject({ code: 'unavailable' });
    await azure.whileExpired(() =>
      expect(proveRuntime(harness.inference)).rejects.toMatchObject({ code: 'permission_denied' }),
    );
    expect(newestLike(pair, azure.wire.exchanges)).toMatchObject(asDocumented(pair));
  });
});

/** Of each error that Azure documents, by its first words. */
const CODES: Readonly<Record<string, string>> = {
  '401 Unauthorized': 'permission_denied',
  '404 Not found: no valid deployment with positive weight': 'unavailable',
  '408 Request timeout': 'deadline_exceeded',
  '424 Model error': 'unavailable',
  '429 Too many pending requests': 'resource_exhausted',
  '429 Rate-limited': 'resource_exhausted',
  '500 Internal server error': 'unavailable',
};

describe('an error of the endpoint', () => {
  it.each(goldenErrors('azure-ml').map((error) => [error.example, CODES[error.example], error] as const))(
    'that Azure documents as %s is told as %s',
    async (_example, code, error) => {
      await using harness = await open();
      azure.wire.failNext(wireAnswer(error));
      await expect(proveRuntime(harness.inference)).rejects.toMatchObject({ code });
      await expect(proveRuntime(harness.inference)).resolves.toBeUndefined();
    },
  );

  it.each<[what: string, code: string, fault: Fault]>([
    ['an endpoint that is being changed', 'unavailable', azureError(409, 'Conflict error')],
    ['an identity that may not score', 'permission_denied', azureError(403, 'Forbidden')],
    ['a gateway that reaches no container', 'unavailable', azureError(502, 'Bad gateway')],
    ['a deployment that starts', 'unavailable', azureError(503, 'Service Unavailable')],
    ['a container that cannot be reached', 'unavailable', { status: 424, body: '' }],
    [
      'a container that has too much to do',
      'resource_exhausted',
      azureModelError(429, encodeError(new PortError('resource_exhausted', 'busy'))),
    ],
    ['a container that is another', 'failed_precondition', { status: 200, body: '[1, 2]' }],
    ['a connection that breaks', 'unavailable', 'reset'],
  ])('that is %s is told as %s', async (_what, code, fault) => {
    await using harness = await open();
    azure.wire.failNext(fault);
    await expect(proveRuntime(harness.inference)).rejects.toMatchObject({ code });
    await expect(proveRuntime(harness.inference)).resolves.toBeUndefined();
  });

  it('is told once it has not answered within the limit of time', async () => {
    await using harness = await open({ timeoutMs: 500 });
    await proveRuntime(harness.inference);
    azure.wire.failNext('hang');
    await expect(proveRuntime(harness.inference)).rejects.toMatchObject({ code: 'deadline_exceeded' });
  });
});
