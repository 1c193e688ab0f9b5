import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { answeredAgain, startMoto } from '../../../infra/verify/moto.ts';

const TARGET = {
  ServiceNamespace: 'dynamodb',
  ResourceId: 'table/verified',
  ScalableDimension: 'dynamodb:table:ReadCapacityUnits',
};
const POLICY = { ...TARGET, PolicyName: 'cpu' };

let moto: Awaited<ReturnType<typeof startMoto>>;

beforeAll(async () => {
  moto = await startMoto();
}, 300_000);

afterAll(() => moto.server[Symbol.asyncDispose]());

/** What a call's signature would say: where it belongs is all that is read of it. */
function authorization(service: string): string {
  return `AWS4-HMAC-SHA256 Credential=test/20260101/eu-central-1/${service}/aws4_request, SignedHeaders=host, Signature=0`;
}

/** One of the SDK's attempts at a call: `invocation` is that of all of them, another call has another. */
function attemptOf(invocation: string, attempt: number) {
  return { 'amz-sdk-invocation-id': invocation, 'amz-sdk-request': `attempt=${attempt}; max=2` };
}

/** What scales is asked for this, as the provider does. */
async function ask(action: string, asked: object, invocation: string = randomUUID(), attempt = 1) {
  const response = await fetch(moto.endpoint, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': `AnyScaleFrontendService.${action}`,
      authorization: authorization('application-autoscaling'),
      ...attemptOf(invocation, attempt),
    },
    body: JSON.stringify(asked),
  });
  return { status: response.status, answer: (await response.json()) as { readonly __type?: string } };
}

async function makeTarget(target: object): Promise<void> {
  expect(await ask('RegisterScalableTarget', { ...target, MinCapacity: 1, MaxCapacity: 2 })).toMatchObject({
    status: 200,
  });
}

describe('the peer that the stacks of AWS are applied to', () => {
  it.each([
    ['DeregisterScalableTarget', TARGET],
    ['DeleteScalingPolicy', POLICY],
  ])(
    'says of what %s does not find that it is not there, as AWS does, so that it counts as deleted',
    async (action, asked) => {
      const { status, answer } = await ask(action, asked);
      expect({ status, type: answer.__type }).toEqual({ status: 400, type: 'ObjectNotFoundException' });
    },
  );

  it('says of what is asked amiss that it is, as before', async () => {
    const { status, answer } = await ask('DeregisterScalableTarget', { ...TARGET, ServiceNamespace: 'none' });
    expect({ status, type: answer.__type }).toEqual({ status: 400, type: 'ValidationException' });
  });

  it('does a call that is repeated once, gives its answer again, and says so', async () => {
    await makeTarget(TARGET);
    const before = await answeredAgain(moto.endpoint);
    const invocation = randomUUID();
    const first = await ask('DeregisterScalableTarget', TARGET, invocation, 1);
    await makeTarget(TARGET);
    expect(await ask('DeregisterScalableTarget', TARGET, invocation, 2)).toEqual(first);
    expect(first.status).toBe(200);
    expect(await answeredAgain(moto.endpoint)).toEqual([...before, 'AnyScaleFrontendService.DeregisterScalableTarget']);
    // What was made between is there still: only another call deletes it.
    expect(await ask('DeregisterScalableTarget', TARGET)).toMatchObject({ status: 200 });
  });

  it('does a call again that it refused', async () => {
    const target = { ...TARGET, ResourceId: 'table/refused' };
    const invocation = randomUUID();
    expect(await ask('DeregisterScalableTarget', target, invocation, 1)).toMatchObject({ status: 400 });
    await makeTarget(target);
    expect(await ask('DeregisterScalableTarget', target, invocation, 2)).toMatchObject({ status: 200 });
  });

  it.each([
    {
      name: 'CreateUser',
      where: 'is a form, by its action',
      service: 'iam',
      path: '/',
      type: 'application/x-www-form-urlencoded',
      body: 'Action=CreateUser&UserName=one&Version=2010-05-08',
    },
    {
      name: 'POST /things/one',
      where: 'has no name of its own, by method and path',
      service: 'iot',
      path: '/things/one',
      type: 'application/json',
      body: '{}',
    },
  ])('names a call that it answered again and that $where', async ({ name, service, path, type, body }) => {
    const invocation = randomUUID();
    const answers = [];
    for (const attempt of [1, 2]) {
      const headers = {
        'content-type': type,
        authorization: authorization(service),
        ...attemptOf(invocation, attempt),
      };
      const response = await fetch(`${moto.endpoint}${path}`, { method: 'POST', headers, body });
      answers.push({ status: response.status, text: await response.text() });
    }
    expect(answers[0]!.status).toBe(200);
    expect(answers[1]).toEqual(answers[0]);
    expect((await answeredAgain(moto.endpoint)).at(-1)).toBe(name);
  });
});
