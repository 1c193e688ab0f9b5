import { provide, provideNotifier, type Offer } from '../provider-module.ts';
import { identityPlatformTokens } from './identity-platform-identity-verifier/identity-platform-identity-verifier.ts';
import { identityPlatformIdentityVerifierConfigSchema } from './identity-platform-identity-verifier/config.ts';
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
import { issuerOffer } from '../oidc/issuer-offer.ts';

/** Loaded by `tribo verify` alone. */
const verifications = () => import('./verifications.ts');

/** What a site may have of Google Cloud. */
export const gcpOffers: readonly Offer[] = [
  provide(
    'objectStore',
    'gcs-object-store',
    gcsObjectStoreConfigSchema,
    async (settings, { closing }) => closing(await GcsObjectStore.open(settings)),
    async (settings, tools) => (await verifications()).verifyGcsObjectStore(settings, tools),
  ),
  provide(
    'eventStream',
    'pubsub-event-stream',
    pubsubEventStreamConfigSchema,
    async (settings, { closing, get }) =>
      closing(await PubsubEventStream.open(settings, { checkpoints: await get('checkpointStore') })),
    async (settings, tools) => (await import('./pubsub-verification.ts')).verifyPubsubEventStream(settings, tools),
  ),
  provide(
    'secretStore',
    'secret-manager-secret-store',
    secretManagerSecretStoreConfigSchema,
    async (settings, { closing }) => closing(await SecretManagerSecretStore.open(settings)),
    async (settings, tools) => (await verifications()).verifySecretManagerSecretStore(settings, tools),
  ),
  provide(
    'modelInference',
    'vertex-ai-model-inference',
    vertexAiModelInferenceConfigSchema,
    async (settings, { closing }) => closing(await VertexAiModelInference.open(settings)),
    async (settings) => (await verifications()).verifyVertexAiModelInference(settings),
  ),
  provideNotifier('pubsub-notifier', pubsubNotifierConfigSchema, (settings) => PubsubNotifier.open(settings), {
    target: ({ topic, projectId }) => `topic ${topic} of ${projectId}`,
    needs: ({ topic }) => `the role Pub/Sub Publisher on topic ${topic}`,
  }),
  issuerOffer(
    'identity-platform-identity-verifier',
    identityPlatformIdentityVerifierConfigSchema,
    identityPlatformTokens,
  ),
];
