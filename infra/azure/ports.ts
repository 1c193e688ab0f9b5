import type { z } from 'zod';
import type { azureMlModelInferenceConfigSchema } from '../../adapters/azure/azure-ml-model-inference/config.ts';
import type { blobObjectStoreConfigSchema } from '../../adapters/azure/blob-object-store/config.ts';
import type { communicationNotifierConfigSchema } from '../../adapters/azure/communication-notifier/config.ts';
import type { entraIdentityVerifierConfigSchema } from '../../adapters/azure/entra-identity-verifier/config.ts';
import type { eventHubsEventStreamConfigSchema } from '../../adapters/azure/event-hubs-event-stream/config.ts';
import type { iotHubDeviceGatewayConfigSchema } from '../../adapters/azure/iot-hub-device-gateway/config.ts';
import type { iotHubDeviceRegistryConfigSchema } from '../../adapters/azure/iot-hub-device-registry/config.ts';
import type { keyVaultSecretStoreConfigSchema } from '../../adapters/azure/key-vault-secret-store/config.ts';
import type { kafkaEventStreamConfigSchema } from '../../adapters/kafka/kafka-event-stream/config.ts';
import type { jwksIdentityVerifierConfigSchema } from '../../adapters/oidc/jwks-identity-verifier/config.ts';
import type { postgresCheckpointStoreConfigSchema } from '../../adapters/postgres/postgres-checkpoint-store/config.ts';
import type { PortsSections } from '../platform.ts';

// The settings of an adapter as a file has them: a setting that is renamed or missing does not compile.
export type PostgresSection = z.input<typeof postgresCheckpointStoreConfigSchema>;
export type EventStreamSection = z.input<typeof eventHubsEventStreamConfigSchema>;
export type KafkaEventStreamSection = {
  readonly adapter: 'kafka-event-stream';
} & z.input<typeof kafkaEventStreamConfigSchema>;
export type ObjectStoreSection = z.input<typeof blobObjectStoreConfigSchema>;
export type SecretStoreSection = z.input<typeof keyVaultSecretStoreConfigSchema>;
export type DeviceGatewaySection = z.input<typeof iotHubDeviceGatewayConfigSchema>;
export type DeviceRegistrySection = z.input<typeof iotHubDeviceRegistryConfigSchema>;
export type NotifierSection = z.input<typeof communicationNotifierConfigSchema>;
export type ModelInferenceSection = z.input<typeof azureMlModelInferenceConfigSchema>;
/** Of the directory that the environment names, or of whichever other issuer. */
export type IdentityVerifierSection =
  | ({ readonly adapter: 'entra-identity-verifier' } & z.input<typeof entraIdentityVerifierConfigSchema>)
  | ({ readonly adapter: 'jwks-identity-verifier' } & z.input<typeof jwksIdentityVerifierConfigSchema>);

/** The ports file of a site at Azure: what `TRIBO_PORTS_FILE` names in its services. */
export interface AzurePorts extends PortsSections {
  readonly provider: 'azure';
  readonly postgres: PostgresSection;
  readonly eventStream: EventStreamSection | KafkaEventStreamSection;
  readonly objectStore: ObjectStoreSection;
  readonly secretStore: SecretStoreSection;
  readonly deviceGateway: { readonly adapter: 'iot-hub-device-gateway' } & DeviceGatewaySection;
  readonly deviceRegistry: { readonly adapter: 'iot-hub-device-registry' } & DeviceRegistrySection;
  readonly notifiers: readonly ({ readonly adapter: 'communication-notifier' } & NotifierSection)[];
  /** Absent where the services run models themselves. */
  readonly modelInference?: { readonly adapter: 'azure-ml-model-inference' } & ModelInferenceSection;
  readonly identityVerifiers: readonly IdentityVerifierSection[];
}
