import {
  deployedChecks,
  sweepEach,
  Unchecked,
  VERIFICATION_MARK,
  wasLeft,
  type Verification,
  type VerificationTools,
} from '#core/contracts/verification.ts';
import { STREAMS } from '#core/domain/event.ts';
import { isPortError, PortError } from '#core/errors.ts';
import { cloudCall } from '../cloud-call.ts';
import { ownStreamContracts } from '../own-stream.ts';
import { DELIVERY_NOT_CHECKED } from '../stream-verification.ts';
import { codeOfGcpError } from './gcp-errors.ts';
import { OwnPubsub } from './own-pubsub.ts';
import { openPubsub } from './pubsub-event-stream/client.ts';
import type { PubsubEventStreamConfig } from './pubsub-event-stream/config.ts';

/**
 * Has a subscription of its own on each topic for a moment, made as a group's is, and asks whether this role may publish: nothing is
 * published, as a topic cannot be told whose message is meant for nobody.
 */
export async function verifyPubsubEventStream(
  settings: PubsubEventStreamConfig,
  { run, provision, get }: VerificationTools,
): Promise<Verification> {
  const { projectId, topicPrefix, timeoutMs } = settings;
  const pubsub = await openPubsub(settings);
  const own = provision ? await OwnPubsub.open(settings, run, () => get('checkpointStore')) : undefined;
  const call = <Result>(what: string, make: (signal: AbortSignal) => Promise<Result>) =>
    cloudCall({ what, timeoutMs }, codeOfGcpError, make);
  const topics = STREAMS.map((stream) => `${topicPrefix}${stream}`);
  const subscribe = async (topic: string) => {
    const name = `${topic}.${VERIFICATION_MARK}-${run}`;
    await call(`subscribe to ${topic}`, (signal) => pubsub.createSubscription(topic, name, signal));
    const isThere = await call(`look for ${name}`, (signal) => pubsub.hasSubscription(name, signal));
    if (!isThere) throw new PortError('unavailable', `the subscription ${name} is not there yet`);
    await call(`delete ${name}`, (signal) => pubsub.deleteSubscription(name, signal));
  };
  const mayPublish = async (topic: string) => {
    if (!(await call(`ask who may publish to ${topic}`, (signal) => pubsub.mayPublish(topic, signal)).catch(unasked)))
      throw new PortError('permission_denied', `this role may not publish to ${topic}`);
  };
  const checks = topics.flatMap((topic) => [
    { name: `${topic} is there, and a group of it is declared and forgotten`, run: () => subscribe(topic) },
    { name: `${topic} may be published to`, run: () => mayPublish(topic) },
  ]);
  return {
    makes: `a subscription ${topicPrefix}*.${VERIFICATION_MARK}-${run} at a time in ${projectId}, to which a topic copies what comes in that moment${own ? `; ${own.makes}` : ''}`,
    needs: `the role Pub/Sub Editor in ${projectId}`,
    contracts: [
      deployedChecks('event-stream', checks, own ? [] : [DELIVERY_NOT_CHECKED]),
      ...(own ? ownStreamContracts(() => own.forCase()) : []),
    ],
    sweep: (isOver) =>
      sweepEach([
        async () => (await own?.sweep(isOver)) ?? 0,
        async () => {
          const all = await call('list subscriptions', (signal) => pubsub.subscriptions(signal));
          const left = all.filter((name) => name.startsWith(topicPrefix) && wasLeft(name, isOver));
          for (const name of left) await call(`delete ${name}`, (signal) => pubsub.deleteSubscription(name, signal));
          return left.length;
        },
      ]),
    close: async () => {
      await own?.close();
      await pubsub.close();
    },
  };
}

function unasked(error: unknown): never {
  if (!isPortError(error) || error.code !== 'unimplemented') throw error;
  throw new Unchecked(
    'the emulator does not know who may do what',
    '`gcloud pubsub topics get-iam-policy`: Pub/Sub Publisher for this role',
  );
}
