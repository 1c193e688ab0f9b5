import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { PubSub } from '@google-cloud/pubsub';
import { eventStreamContract, measuredStreamContract } from '#core/contracts/event-stream.contract.ts';
import { newRun, VERIFICATION_MARK } from '#core/contracts/verification.ts';
import { STREAMS } from '#core/domain/event.ts';
import { Pstest } from '../pubsub.ts';
import { startVerify, verifySite } from '../verify-site.ts';

const TIMEOUT_MS = 180_000;
const PROJECT = 'plant-akron';
let server: Pstest;
let pubsub: PubSub;
beforeAll(async () => {
  server = await Pstest.start();
  const { PubSub } = await import('@google-cloud/pubsub');
  pubsub = new PubSub({ projectId: PROJECT, apiEndpoint: server.endpoint, emulatorMode: true });
  for (const stream of STREAMS) await pubsub.createTopic(`tribo-${stream}`);
  await pubsub.createTopic('alarms');
}, 900_000);
afterAll(async () => {
  await pubsub.close();
  await server[Symbol.asyncDispose]();
});

const place = () => ({ projectId: PROJECT, emulatorEndpoint: server.endpoint });
/** Waits for one message of the topic of alarms. */
async function nextAlarm(): Promise<() => Promise<readonly string[]>> {
  const [subscription] = await pubsub.topic('alarms').createSubscription('people');
  return async () => {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    subscription.on('error', reject);
    subscription.on('message', (message) => {
      message.ack();
      resolve(message.data.toString());
    });
    const told = await promise;
    await subscription.close();
    return [told];
  };
}

const subscriptions = async () => (await pubsub.getSubscriptions())[0].map(({ name }) => name);

describe('tribo verify of Pub/Sub', () => {
  it(
    'has a subscription on each topic for a moment, and leaves none, also not of a run of two days ago',
    async () => {
      const earlier = newRun(Date.now() - 2 * 86_400_000);
      await pubsub.topic('tribo-metrics').createSubscription(`tribo-metrics.${VERIFICATION_MARK}-${earlier}`);
      const own = await pubsub.topic('tribo-metrics').createSubscription('tribo-metrics.store');
      const { code, ports } = await verifySite({ eventStream: { adapter: 'pubsub-event-stream', ...place() } });
      expect({ code, ports }).toMatchObject({
        code: 0,
        ports: [{ ok: true, passed: STREAMS.length, failed: [], problems: [], removedOfEarlier: 1 }],
      });
      // The peer does not know who may do what.
      expect(ports[0]!.leftOut.filter((each) => each.case.endsWith('may be published to'))).toHaveLength(
        STREAMS.length,
      );
      expect(await subscriptions()).toEqual([own[0].name]);
    },
    TIMEOUT_MS,
  );

  it(
    'runs the contract of streams on topics of its own with --provision, and leaves none and no subscription, also not of a run of two days ago',
    async () => {
      const earlier = `${VERIFICATION_MARK}-${newRun(Date.now() - 2 * 86_400_000)}-1-metrics`;
      await pubsub.createTopic(earlier);
      await pubsub.topic(earlier).createSubscription(`${earlier}.group-a`);
      const before = await subscriptions();
      const eventStream = { adapter: 'pubsub-event-stream', ...place(), ackEveryMs: 20, accountEveryMs: 100 };
      const { code, ports } = await verifySite({ eventStream }, ['--provision']);
      const cases = eventStreamContract.cases.length + measuredStreamContract.cases.length;
      expect({ code, ports }).toMatchObject({
        code: 0,
        ports: [{ ok: true, passed: STREAMS.length + cases - 2, failed: [], problems: [], removedOfEarlier: 2 }],
      });
      const isOfRun = (name: string) => name.includes(VERIFICATION_MARK);
      expect((await pubsub.getTopics())[0].filter(({ name }) => isOfRun(name))).toEqual([]);
      expect(await subscriptions()).toEqual(before.filter((name) => !isOfRun(name)));
    },
    2 * TIMEOUT_MS,
  );

  it(
    'fails where a topic is not there, and says what to do',
    async () => {
      const eventStream = { adapter: 'pubsub-event-stream', ...place(), topicPrefix: 'nobodys-' };
      const { code, stdout } = await startVerify({ eventStream }).ended;
      expect({ code, stdout }).toEqual({ code: 70, stdout: expect.stringMatching(/not_found: [^]*-> deploy what it/) });
    },
    TIMEOUT_MS,
  );
});

describe('tribo verify of a notifier', () => {
  it(
    'tells nobody unless it is asked to, and says so; then one message, which says that it is a test',
    async () => {
      const told = await nextAlarm();
      const notifiers = [{ adapter: 'pubsub-notifier', ...place(), topic: 'alarms' }];
      const unasked = await startVerify({ notifiers }).ended;
      expect(unasked).toMatchObject({
        code: 70,
        stdout: expect.stringMatching(/run it with --notify[^]*Nothing was looked/),
      });
      const { code, ports } = await verifySite({ notifiers }, ['--notify']);
      expect({ code, ports }).toMatchObject({ code: 0, ports: [{ ok: true, passed: 1 }] });
      expect(await told()).toEqual([expect.stringContaining('This is a test of notifications by tribo verify')]);
    },
    TIMEOUT_MS,
  );
});
