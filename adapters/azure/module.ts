import { provide, provideNotifier, type Offer } from '../provider-module.ts';
import { entraTokens } from './entra-identity-verifier/entra-identity-verifier.ts';
import { entraIdentityVerifierConfigSchema } from './entra-identity-verifier/config.ts';
import { azureMlModelInferenceConfigSchema } from './azure-ml-model-inference/config.ts';
import { AzureMlModelInference } from './azure-ml-model-inference/azure-ml-model-inference.ts';
import { blobObjectStoreConfigSchema } from './blob-object-store/config.ts';
import { BlobObjectStore } from './blob-object-store/blob-object-store.ts';
import { eventHubsEventStreamConfigSchema } from './event-hubs-event-stream/config.ts';
import { EventHubsEventStream } from './event-hubs-event-stream/event-hubs-event-stream.ts';
import { iotHubDeviceGatewayConfigSchema, type IotHubDeviceGatewayConfig } from './iot-hub-device-gateway/config.ts';
import { iotHubConnection } from './iot-hub-device-gateway/device-connection.ts';
import { IotHubDeviceGateway } from './iot-hub-device-gateway/iot-hub-device-gateway.ts';
import { iotHubDeviceRegistryConfigSchema } from './iot-hub-device-registry/config.ts';
import { IotHubDeviceRegistry } from './iot-hub-device-registry/iot-hub-device-registry.ts';
import { keyVaultSecretStoreConfigSchema } from './key-vault-secret-store/config.ts';
import { KeyVaultSecretStore } from './key-vault-secret-store/key-vault-secret-store.ts';
import { CommunicationNotifier } from './communication-notifier/communication-notifier.ts';
import { communicationNotifierConfigSchema } from './communication-notifier/config.ts';
import { issuerOffer } from '../oidc/issuer-offer.ts';

/** Loaded by `tribo verify` alone. */
const verifications = () => import('./verifications.ts');

/** What a site may have of Azure. */
export const azureOffers: readonly Offer[] = [
  provide(
    'objectStore',
    'blob-object-store',
    blobObjectStoreConfigSchema,
    async (settings, { closing }) => closing(await BlobObjectStore.open(settings)),
    async (settings, tools) => (await verifications()).verifyBlobObjectStore(settings, tools),
  ),
  provide(
    'secretStore',
    'key-vault-secret-store',
    keyVaultSecretStoreConfigSchema,
    (settings) => KeyVaultSecretStore.open(settings),
    async (settings, tools) => (await verifications()).verifyKeyVaultSecretStore(settings, tools),
  ),
  provide(
    'modelInference',
    'azure-ml-model-inference',
    azureMlModelInferenceConfigSchema,
    async (settings, { closing }) => closing(await AzureMlModelInference.open(settings)),
    async (settings) => (await verifications()).verifyAzureMlModelInference(settings),
  ),
  provide(
    'eventStream',
    'event-hubs-event-stream',
    eventHubsEventStreamConfigSchema,
    async (settings, { closing, get }) =>
      closing(await EventHubsEventStream.open(settings, { checkpoints: await get('checkpointStore') })),
    async (settings, tools) =>
      (await import('./event-hubs-verification.ts')).verifyEventHubsEventStream(settings, tools),
  ),
  {
    ...provide(
      'deviceGateway',
      'iot-hub-device-gateway',
      iotHubDeviceGatewayConfigSchema,
      async (settings, { get }) => {
        const [devices, clock] = [await get('deviceRegistry'), await get('clock')];
        return (hooks) => new IotHubDeviceGateway(settings, { ...hooks, devices, clock });
      },
      async (settings, tools) =>
        (await import('./iot-hub-gateway-verification.ts')).verifyIotHubDeviceGateway(settings, tools),
    ),
    needs: { deviceRegistry: 'iot-hub-device-registry' },
    describeConnection: (settings) => iotHubConnection(settings as IotHubDeviceGatewayConfig),
  },
  provide(
    'deviceRegistry',
    'iot-hub-device-registry',
    iotHubDeviceRegistryConfigSchema,
    async (settings, { closing, get }) => closing(await IotHubDeviceRegistry.open(settings, await get('clock'))),
    async (settings, tools) => (await verifications()).verifyIotHubDeviceRegistry(settings, tools),
  ),
  provideNotifier(
    'communication-notifier',
    communicationNotifierConfigSchema,
    (settings) => CommunicationNotifier.open(settings),
    {
      target: ({ to }) => to.join(', '),
      needs: ({ endpoint }) => `the role Communication and Email Service Owner on ${endpoint}`,
    },
  ),
  issuerOffer('entra-identity-verifier', entraIdentityVerifierConfigSchema, entraTokens),
];
