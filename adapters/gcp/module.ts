import { provide, provideNotifier, type Offer } from '../provider-module.ts';
import { vertexAiModelInferenceConfigSchema } from './vertex-ai-model-inference/config.ts';
import { VertexAiModelInference } from './vertex-ai-model-inference/vertex-ai-model-inference.ts';
import { gcsObjectStoreConfigSchema } from './gcs-object-store/config.ts';
import { GcsObjectStore } from './gcs-object-store/gcs-object-store.ts';
import { pubsubEventStreamConfigSchema } from './pubsub-event-stream/config.ts';
import { PubsubEventStream } from './pubsub-event-stream/pubsub-event-stream.ts';
import { secretManagerSecretStoreConfigSchema } from './secret-manager-secret-store/config.ts';
import { SecretManagerSecretStore } from './secret-manager-secret-store/secret-manager-secret-store.ts';
import { pubsubNotifierConfigSchema } from './pubsub-notifier/config.ts';
import { PubsubNotifier } from './pubsub-notifier/pubsub-notifier.ts';

/** What a site may have of Google Cloud. */
export const gcpOffers: readonly Offer[] = [
  provide('objectStore', 'gcs-object-store', gcsObjectStoreConfigSchema, async (settings, { closing }) =>
    closing(await GcsObjectStore.open(settings)),
  ),
  provide('eventStream', 'pubsub-event-stream', pubsubEventStreamConfigSchema, async (settings, { closing, get }) =>
    closing(await PubsubEventStream.open(settings, { checkpoints: await get('checkpointStore') })),
  ),
  provide(
    'secretStore',
    'secret-manager-secret-store',
    secretManagerSecretStoreConfigSchema,
    async (settings, { closing }) => closing(await SecretManagerSecretStore.open(settings)),
  ),
  provide(
    'modelInference',
    'vertex-ai-model-inference',
    vertexAiModelInferenceConfigSchema,
    async (settings, { closing }) => closing(await VertexAiModelInference.open(settings)),
  ),
  provideNotifier('pubsub-notifier', pubsubNotifierConfigSchema, (settings) => PubsubNotifier.open(settings)),
];
