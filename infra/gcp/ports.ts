import type { z } from 'zod';
import type { gcsObjectStoreConfigSchema } from '../../adapters/gcp/gcs-object-store/config.ts';
import type { identityPlatformIdentityVerifierConfigSchema } from '../../adapters/gcp/identity-platform-identity-verifier/config.ts';
import type { pubsubEventStreamConfigSchema } from '../../adapters/gcp/pubsub-event-stream/config.ts';
import type { pubsubNotifierConfigSchema } from '../../adapters/gcp/pubsub-notifier/config.ts';
import type { secretManagerSecretStoreConfigSchema } from '../../adapters/gcp/secret-manager-secret-store/config.ts';
import type { vertexAiModelInferenceConfigSchema } from '../../adapters/gcp/vertex-ai-model-inference/config.ts';
import type { kafkaEventStreamConfigSchema } from '../../adapters/kafka/kafka-event-stream/config.ts';
import type { mqttDeviceGatewayConfigSchema } from '../../adapters/mqtt/mqtt-device-gateway/config.ts';
import type { jwksIdentityVerifierConfigSchema } from '../../adapters/oidc/jwks-identity-verifier/config.ts';
import type { postgresCheckpointStoreConfigSchema } from '../../adapters/postgres/postgres-checkpoint-store/config.ts';
import type { PortsSections } from '../platform.ts';

/** What the adapters of Google Cloud share, said once. */
interface GcpSection {
  readonly projectId: string;
}

/** The settings of an adapter as a file has them, less what its family shares: a setting that is renamed or missing does not compile. */
type Section<Schema extends z.ZodType> = Omit<z.input<Schema>, keyof GcpSection>;

export type PostgresSection = z.input<typeof postgresCheckpointStoreConfigSchema>;
export type EventStreamSection = Section<typeof pubsubEventStreamConfigSchema>;
export type KafkaEventStreamSection = {
  readonly adapter: 'kafka-event-stream';
} & z.input<typeof kafkaEventStreamConfigSchema>;
export type ObjectStoreSection = Section<typeof gcsObjectStoreConfigSchema>;
export type SecretStoreSection = Section<typeof secretManagerSecretStoreConfigSchema>;
export type DeviceGatewaySection = z.input<typeof mqttDeviceGatewayConfigSchema>;
export type NotifierSection = Section<typeof pubsubNotifierConfigSchema>;
export type ModelInferenceSection = z.input<typeof vertexAiModelInferenceConfigSchema>;
/** Of people of the project's own, or of whichever issuer the environment names. */
export type IdentityVerifierSection =
  | ({ readonly adapter: 'identity-platform-identity-verifier' } & Section<
      typeof identityPlatformIdentityVerifierConfigSchema
    >)
  | ({ readonly adapter: 'jwks-identity-verifier' } & z.input<typeof jwksIdentityVerifierConfigSchema>);

/** The ports file of a site at Google Cloud: what `TRIBO_PORTS_FILE` names in its services. */
export interface GcpPorts extends PortsSections {
  readonly provider: 'gcp';
  readonly gcp: GcpSection;
  readonly postgres: PostgresSection;
  readonly eventStream: EventStreamSection | KafkaEventStreamSection;
  readonly objectStore: ObjectStoreSection;
  readonly secretStore: SecretStoreSection;
  readonly deviceGateway: { readonly adapter: 'mqtt-device-gateway' } & DeviceGatewaySection;
  readonly deviceRegistry: { readonly adapter: 'postgres-device-registry' };
  readonly notifiers: readonly ({ readonly adapter: 'pubsub-notifier' } & NotifierSection)[];
  /** Absent where the services run models themselves. */
  readonly modelInference?: { readonly adapter: 'vertex-ai-model-inference' } & ModelInferenceSection;
  readonly identityVerifiers: readonly IdentityVerifierSection[];
}
