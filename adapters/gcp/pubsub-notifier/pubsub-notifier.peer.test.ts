import { describe, expect, it } from '@jest/globals';
import { notifierContract } from '#core/contracts/notifier.contract.ts';
import { sampleActivation, sampleNotice } from '#core/contracts/sample-alarm.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { Pstest } from '#test/peers/pubsub.ts';
import { pubsubNotifierConfigSchema } from './config.ts';
import { PubsubNotifier } from './pubsub-notifier.ts';

const projectId = 'plant-akron';
const topic = 'alarms';

interface Received {
  readonly data: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** A server with a topic and one subscription. */
async function openTopic() {
  const pstest = await Pstest.start();
  const { PubSub, v1 } = await import('@google-cloud/pubsub');
  const pubsub = new PubSub({ projectId, apiEndpoint: pstest.endpoint, emulatorMode: true });
  await pubsub.createTopic(topic);
  await pubsub.topic(topic).createSubscription('people');
  type Options = ConstructorParameters<typeof v1.SubscriberClient>[0];
  const subscriber = new v1.SubscriberClient((await pubsub.getClientConfig()) as Options);
  const subscription = `projects/${projectId}/subscriptions/people`;
  const taken = new Map<number, Received>();
  /** Takes all that is there; pstest numbers messages as they come. */
  const receive = async () => {
    for (;;) {
      const [{ receivedMessages = [] }] = await subscriber.pull({
        subscription,
        maxMessages: 100,
        returnImmediately: true,
      });
      const ackIds = receivedMessages!.flatMap(({ ackId }) => (ackId ? [ackId] : []));
      if (ackIds.length === 0) break;
      for (const { message } of receivedMessages!)
        taken.set(Number(message!.messageId!.replace(/^m/, '')), {
          data: Buffer.from(message!.data as Uint8Array).toString(),
          attributes: message!.attributes ?? {},
        });
      await subscriber.acknowledge({ subscription, ackIds });
    }
    return [...taken].sort(([one], [other]) => one - other).map(([, message]) => message);
  };
  const notifier = await PubsubNotifier.open(
    pubsubNotifierConfigSchema.parse({ projectId, topic, emulatorEndpoint: pstest.endpoint, timeoutMs: 2000 }),
  );
  let isPaused = false;
  const end = async () => {
    if (isPaused) pstest.goOn();
    isPaused = false;
    await pstest[Symbol.asyncDispose]();
  };
  return {
    ...{ notifier, receive },
    received: async () => (await receive()).map((message) => JSON.stringify(message)),
    identityIn: (text: string) => (JSON.parse(text) as Received).attributes['id'],
    behave: async (how: 'refusing' | 'failing' | 'hanging' | 'gone') => {
      if (how === 'gone') return end();
      if (how === 'refusing') {
        await pubsub.topic(topic).delete();
        return;
      }
      pstest.pause();
      isPaused = true;
    },
    [Symbol.asyncDispose]: async () => {
      await notifier.close();
      await subscriber.close();
      await pubsub.close();
      await end();
    },
  };
}

describeContract(notifierContract, 'Pub/Sub (pstest)', openTopic);

describe('a message of Pub/Sub', () => {
  it('is a CloudEvent in structured JSON, with attributes to filter by', async () => {
    await using opened = await openTopic();
    const notice = sampleNotice(sampleActivation({ id: 't0', part: { message: 'hot' } }));
    await opened.notifier.send({ id: 'n1', notice });
    const [message] = await opened.receive();
    expect(JSON.parse(message!.data)).toMatchObject({ specversion: '1.0', id: 'n1', type: 'io.tribo.alarm.raised' });
    expect(message!.attributes).toEqual({
      'content-type': 'application/cloudevents+json',
      id: 'n1',
      type: 'io.tribo.alarm.raised',
      source: '/tenants/north/sites/akron/machines/press-7',
    });
  });
});
