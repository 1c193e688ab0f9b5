import { loadSdk } from '../../sdk.ts';
import { waitFor } from '../../wait-for.ts';
import type { PubsubNotifierConfig } from './config.ts';

type PublisherOptions = ConstructorParameters<typeof import('@google-cloud/pubsub').v1.PublisherClient>[0];

/** The call of Pub/Sub that the notifier makes: one attempt, throwing what the SDK throws. */
export interface TopicCalls {
  publish(data: Uint8Array, attributes: Readonly<Record<string, string>>, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** The SDK is loaded here and nowhere else, so that a site without Pub/Sub never loads it. */
export async function openTopic(config: PubsubNotifierConfig): Promise<TopicCalls> {
  const { PubSub, v1 } = await loadSdk('Google Cloud', () => import('@google-cloud/pubsub'));
  const { projectId, topic, emulatorEndpoint, timeoutMs } = config;
  const pubsub = new PubSub({
    projectId,
    ...(emulatorEndpoint !== undefined && { apiEndpoint: emulatorEndpoint, emulatorMode: true }),
  });
  const publisher = new v1.PublisherClient((await pubsub.getClientConfig()) as PublisherOptions);
  // Retries are core/alerting's.
  const once = { timeout: timeoutMs, retry: { retryCodes: [] } };
  return {
    publish: async (data, attributes, signal) => {
      const request = { topic: `projects/${projectId}/topics/${topic}`, messages: [{ data, attributes }] };
      await waitFor(publisher.publish(request, once), signal);
    },
    close: async () => {
      await publisher.close();
      await pubsub.close();
    },
  };
}
