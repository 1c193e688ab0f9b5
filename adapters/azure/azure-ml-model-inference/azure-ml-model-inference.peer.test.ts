import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { modelInferenceContract } from '#core/contracts/model-inference.contract.ts';
import { PortError } from '#core/errors.ts';
import { encodeError } from '#core/inference/prediction-wire.ts';
import { proveRuntime } from '#core/inference/prove-runtime.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { AzureMl, azureError, azureModelError } from '#test/peers/azure-ml.ts';
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

describe('an error of the endpoint', () => {
  it.each<[what: string, code: string, fault: Fault]>([
    ['too many pending requests', 'resource_exhausted', azureError(429, 'Too many pending requests')],
    ['a model that takes longer than its deployment lets it', 'deadline_exceeded', azureError(408, 'Request timeout')],
    ['an endpoint that is being changed', 'unavailable', azureError(409, 'Conflict error')],
    ['an endpoint without deployments', 'unavailable', azureError(404, 'no deployment with positive weight')],
    ['an identity that may not score', 'permission_denied', azureError(403, 'Forbidden')],
    ['a gateway that reaches no container', 'unavailable', azureError(502, 'Bad gateway')],
    ['a deployment that starts', 'unavailable', azureError(503, 'Service Unavailable')],
    ['a container that fails', 'unavailable', azureModelError(500, 'An unexpected error occurred in scoring script')],
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
