import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { SNS } from '@aws-sdk/client-sns';
import { notifierContract } from '#core/contracts/notifier.contract.ts';
import { sampleActivation, sampleNotice } from '#core/contracts/sample-alarm.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { HttpFaults, SEEMING } from '#test/peers/http-faults.ts';
import { startHttpReceiver } from '#test/support/http-receiver.ts';
import { Moto } from '#test/peers/moto.ts';
import { snsNotifierConfigSchema } from './config.ts';
import { SnsNotifier } from './sns-notifier.ts';

const region = 'eu-central-1';
let moto: Moto;
let sns: SNS;

beforeAll(async () => {
  moto = await Moto.start();
  const { SNS } = await import('@aws-sdk/client-sns');
  sns = new SNS({ region, endpoint: moto.endpoint });
}, 300_000);

afterAll(async () => {
  sns.destroy();
  await moto[Symbol.asyncDispose]();
});

/** A topic with one subscriber, which is a server on this machine that SNS posts to. */
async function openTopic({ isFifo = false, filter }: { readonly isFifo?: boolean; readonly filter?: object } = {}) {
  const posts: string[] = [];
  const subscriber = await startHttpReceiver((_request, response, body) => {
    posts.push(body.toString());
    response.end();
  });
  const wire = await HttpFaults.start(moto.endpoint);
  const topic = {
    Name: `alarms-${randomUUID()}${isFifo ? '.fifo' : ''}`,
    ...(isFifo && { Attributes: { FifoTopic: 'true' } }),
  };
  const { TopicArn = '' } = await sns.createTopic(topic);
  const Attributes = filter && { FilterPolicy: JSON.stringify(filter) };
  if (!isFifo)
    await sns.subscribe({ TopicArn, Protocol: 'http', Endpoint: subscriber.url, ...(Attributes && { Attributes }) });
  const notifier = await SnsNotifier.open(
    snsNotifierConfigSchema.parse({ region, endpoint: wire.endpoint, topicArn: TopicArn, timeoutMs: 2000 }),
  );
  return {
    notifier,
    received: async () => [...posts],
    identityIn: (text: string) => (JSON.parse((JSON.parse(text) as Posted).Message) as { readonly id: string }).id,
    behave: async (how: 'refusing' | 'failing' | 'hanging' | 'gone') => {
      if (how === 'refusing') await sns.deleteTopic({ TopicArn });
      else wire.fault = SEEMING[how];
    },
    [Symbol.asyncDispose]: async () => {
      await notifier.close();
      await wire[Symbol.asyncDispose]();
      await subscriber[Symbol.asyncDispose]();
    },
  };
}

interface Posted {
  readonly Subject?: string;
  readonly Message: string;
}

describeContract(notifierContract, 'SNS (moto)', () => openTopic());

const notice = sampleNotice(sampleActivation({ id: 't0', part: { message: 'hot' } }));

describe('a message of SNS', () => {
  it('is a CloudEvent, with a subject for people', async () => {
    await using topic = await openTopic();
    await topic.notifier.send({ id: 'n1', notice });
    const posted = JSON.parse((await topic.received())[0]!) as Posted;
    expect(posted.Subject).toBe('Anomaly Detected: press-7');
    expect(JSON.parse(posted.Message)).toMatchObject({ specversion: '1.0', id: 'n1', type: 'io.tribo.alarm.raised' });
  });

  it.each([
    [{ id: ['n1'], type: ['io.tribo.alarm.raised'], source: ['/tenants/north/sites/akron/machines/press-7'] }, 1],
    [{ type: ['io.tribo.alarm.cleared'] }, 0],
    [{ source: ['/tenants/north/sites/akron/machines/press-8'] }, 0],
  ])('can be filtered by its attributes: %j', async (filter, expected) => {
    await using topic = await openTopic({ filter });
    await topic.notifier.send({ id: 'n1', notice });
    expect(await topic.received()).toHaveLength(expected);
  });

  it('is taken by a topic that keeps order, which wants a group and an id', async () => {
    await using topic = await openTopic({ isFifo: true });
    await topic.notifier.send({ id: 'n1:with/odd characters?', notice });
  });
});
