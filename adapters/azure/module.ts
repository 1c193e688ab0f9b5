import { provide, provideNotifier, type Offer } from '../provider-module.ts';
import { azureMlModelInferenceConfigSchema } from './azure-ml-model-inference/config.ts';
import { AzureMlModelInference } from './azure-ml-model-inference/azure-ml-model-inference.ts';
import { blobObjectStoreConfigSchema } from './blob-object-store/config.ts';
import { BlobObjectStore } from './blob-object-store/blob-object-store.ts';
import { eventHubsEventStreamConfigSchema } from './event-hubs-event-stream/config.ts';
import { EventHubsEventStream } from './event-hubs-event-stream/event-hubs-event-stream.ts';
import { keyVaultSecretStoreConfigSchema } from './key-vault-secret-store/config.ts';
import { KeyVaultSecretStore } from './key-vault-secret-store/key-vault-secret-store.ts';
import { CommunicationNotifier } from './communication-notifier/communication-notifier.ts';
import { communicationNotifierConfigSchema } from './communication-notifier/config.ts';

/** What a site may have of Azure. */
export const azureOffers: readonly Offer[] = [
  provide('objectStore', 'blob-object-store', blobObjectStoreConfigSchema, async (settings, { closing }) =>
    closing(await BlobObjectStore.open(settings)),
  ),
  provide('secretStore', 'key-vault-secret-store', keyVaultSecretStoreConfigSchema, (settings) =>
    KeyVaultSecretStore.open(settings),
  ),
  provide(
    'modelInference',
    'azure-ml-model-inference',
    azureMlModelInferenceConfigSchema,
    async (settings, { closing }) => closing(await AzureMlModelInference.open(settings)),
  ),
  provide('eventStream', 'event-hubs-event-stream', eventHubsEventStreamConfigSchema, async (settings, { closing }) =>
    closing(await EventHubsEventStream.open(settings)),
  ),
  provideNotifier('communication-notifier', communicationNotifierConfigSchema, (settings) =>
    CommunicationNotifier.open(settings),
  ),
];
