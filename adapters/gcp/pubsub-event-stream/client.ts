import { loadSdk } from '../../sdk.ts';
import { waitFor } from '../../wait-for.ts';
import type { PubsubEventStreamConfig } from './config.ts';

type PublisherOptions = ConstructorParameters<typeof import('@google-cloud/pubsub').v1.PublisherClient>[0];

/** A message as it is published. */
export interface OutgoingMessage {
  readonly data: Uint8Array;
  readonly attributes: Readonly<Record<string, string>>;
}

/** A message as it came; it is leased, and the lease extended, until it is acknowledged or its pull is closed. */
export interface IncomingMessage extends OutgoingMessage {
  ack(): void;
}

/** Messages as they come, until it is closed: that gives back what was not acknowledged. */
export interface Pull {
  close(): Promise<void>;
}

/** The calls of Pub/Sub that the stream makes: each one attempt, throwing what the SDK throws. Names are short ones. */
export interface PubsubCalls {
  /** All or nothing. */
  publish(topic: string, orderingKey: string, messages: readonly OutgoingMessage[], signal: AbortSignal): Promise<void>;
  createSubscription(topic: string, name: string, signal: AbortSignal): Promise<void>;
  deleteSubscription(name: string, signal: AbortSignal): Promise<void>;
  hasSubscription(name: string, signal: AbortSignal): Promise<boolean>;
  /** Short names of all subscriptions of the project. */
  subscriptions(signal: AbortSignal): Promise<readonly string[]>;
  /** Whether this role may publish to the topic. */
  mayPublish(topic: string, signal: AbortSignal): Promise<boolean>;
  pull(name: string, onMessage: (message: IncomingMessage) => void, onFailure: (error: unknown) => void): Pull;
  close(): Promise<void>;
}

/** The SDK is loaded here and nowhere else, so that a site without Pub/Sub never loads it. */
export async function openPubsub(config: PubsubEventStreamConfig): Promise<PubsubCalls> {
  const { PubSub, Duration, v1 } = await loadSdk('Google Cloud', () => import('@google-cloud/pubsub'));
  const { projectId, emulatorEndpoint, timeoutMs, maxHeldEvents, maxHeldBytes } = config;
  const pubsub = new PubSub({
    projectId,
    ...(emulatorEndpoint !== undefined && { apiEndpoint: emulatorEndpoint, emulatorMode: true }),
  });
  const publisher = new v1.PublisherClient((await pubsub.getClientConfig()) as PublisherOptions);
  // Retries are core/delivery's.
  const once = { timeout: timeoutMs, retry: { retryCodes: [] } };
  const path = (kind: 'topics' | 'subscriptions', name: string) => `projects/${projectId}/${kind}/${name}`;
  return {
    publish: async (topic, orderingKey, messages, signal) => {
      const request = {
        topic: path('topics', topic),
        messages: messages.map(({ data, attributes }) => ({ data, attributes, orderingKey })),
      };
      await waitFor(publisher.publish(request, once), signal);
    },
    createSubscription: async (topic, name, signal) => {
      const { deadLetterTopic, maxDeliveryAttempts, ackDeadlineSeconds, retentionMs } = config;
      const settings = {
        enableMessageOrdering: true,
        ackDeadlineSeconds,
        messageRetentionDuration: retentionMs / 1000,
        // Else a group that is away for a month is forgotten.
        expirationPolicy: {},
        ...(deadLetterTopic !== undefined && {
          deadLetterPolicy: { deadLetterTopic: path('topics', deadLetterTopic), maxDeliveryAttempts },
        }),
        gaxOpts: once,
      };
      await waitFor(pubsub.topic(topic).createSubscription(name, settings), signal);
    },
    deleteSubscription: async (name, signal) => {
      await waitFor(pubsub.subscription(name).delete(once), signal);
    },
    hasSubscription: async (name, signal) => {
      const [isThere] = await waitFor(pubsub.subscription(name).exists(), signal);
      return isThere;
    },
    subscriptions: async (signal) => {
      const [found] = await waitFor(pubsub.getSubscriptions(), signal);
      return found.map(({ name }) => name.slice(name.lastIndexOf('/') + 1));
    },
    mayPublish: async (topic, signal) => {
      const right = 'pubsub.topics.publish';
      const [allowed] = await waitFor(pubsub.topic(topic).iam.testPermissions(right), signal);
      return allowed[right] === true;
    },
    pull: (name, onMessage, onFailure) => {
      const subscription = pubsub.subscription(name, {
        flowControl: { maxMessages: maxHeldEvents, maxBytes: maxHeldBytes, allowExcessMessages: false },
        minAckDeadline: Duration.from({ seconds: config.ackDeadlineSeconds }),
        maxAckDeadline: Duration.from({ seconds: config.ackDeadlineSeconds }),
        // The SDK's hour is over while a store is away for longer: it would take in more then, while what it let go of still waits here.
        maxExtensionTime: Duration.from({ milliseconds: config.retentionMs }),
        batching: { maxMilliseconds: 10 },
        streamingOptions: { maxStreams: 1 },
        closeOptions: { behavior: 'NACK', timeout: Duration.from({ milliseconds: timeoutMs }) },
      });
      subscription.on('error', onFailure);
      subscription.on('message', onMessage);
      return { close: () => subscription.close() };
    },
    close: async () => {
      await publisher.close();
      await pubsub.close();
    },
  };
}
