import type { z } from 'zod';
import type { cognitoIdentityVerifierConfigSchema } from '../../adapters/aws/cognito-identity-verifier/config.ts';
import type { iotCoreDeviceGatewayConfigSchema } from '../../adapters/aws/iot-core-device-gateway/config.ts';
import type { iotCoreDeviceRegistryConfigSchema } from '../../adapters/aws/iot-core-device-registry/config.ts';
import type { kinesisEventStreamConfigSchema } from '../../adapters/aws/kinesis-event-stream/config.ts';
import type { s3ObjectStoreConfigSchema } from '../../adapters/aws/s3-object-store/config.ts';
import type { sagemakerModelInferenceConfigSchema } from '../../adapters/aws/sagemaker-model-inference/config.ts';
import type { secretsManagerSecretStoreConfigSchema } from '../../adapters/aws/secrets-manager-secret-store/config.ts';
import type { snsNotifierConfigSchema } from '../../adapters/aws/sns-notifier/config.ts';
import type { kafkaEventStreamConfigSchema } from '../../adapters/kafka/kafka-event-stream/config.ts';
import type { jwksIdentityVerifierConfigSchema } from '../../adapters/oidc/jwks-identity-verifier/config.ts';
import type { postgresCheckpointStoreConfigSchema } from '../../adapters/postgres/postgres-checkpoint-store/config.ts';
import type { PortsSections } from '../platform.ts';

/** What the adapters of AWS share, said once. */
interface AwsSection {
  readonly region: string;
}

/** The settings of an adapter as a file has them, less what its family shares: a setting that is renamed or missing does not compile. */
type Section<Schema extends z.ZodType> = Omit<z.input<Schema>, keyof AwsSection>;

export type PostgresSection = z.input<typeof postgresCheckpointStoreConfigSchema>;
export type EventStreamSection = Section<typeof kinesisEventStreamConfigSchema>;
export type KafkaEventStreamSection = {
  readonly adapter: 'kafka-event-stream';
} & z.input<typeof kafkaEventStreamConfigSchema>;
export type ObjectStoreSection = Section<typeof s3ObjectStoreConfigSchema>;
export type SecretStoreSection = Section<typeof secretsManagerSecretStoreConfigSchema>;
export type DeviceGatewaySection = Section<typeof iotCoreDeviceGatewayConfigSchema>;
export type DeviceRegistrySection = Section<typeof iotCoreDeviceRegistryConfigSchema>;
export type NotifierSection = Section<typeof snsNotifierConfigSchema>;
export type ModelInferenceSection = Section<typeof sagemakerModelInferenceConfigSchema>;
/** Of a pool of the site's own, or of whichever issuer the environment names. */
export type IdentityVerifierSection =
  | ({ readonly adapter: 'cognito-identity-verifier' } & z.input<typeof cognitoIdentityVerifierConfigSchema>)
  | ({ readonly adapter: 'jwks-identity-verifier' } & z.input<typeof jwksIdentityVerifierConfigSchema>);

/** The ports file of a site at AWS: what `TRIBO_PORTS_FILE` names in its services. */
export interface AwsPorts extends PortsSections {
  readonly provider: 'aws';
  readonly aws: AwsSection;
  readonly postgres: PostgresSection;
  readonly eventStream: EventStreamSection | KafkaEventStreamSection;
  readonly objectStore: ObjectStoreSection;
  readonly secretStore: SecretStoreSection;
  readonly deviceGateway: { readonly adapter: 'iot-core-device-gateway' } & DeviceGatewaySection;
  readonly deviceRegistry: { readonly adapter: 'iot-core-device-registry' } & DeviceRegistrySection;
  readonly notifiers: readonly ({ readonly adapter: 'sns-notifier' } & NotifierSection)[];
  /** Absent where the services run models themselves. */
  readonly modelInference?: { readonly adapter: 'sagemaker-model-inference' } & ModelInferenceSection;
  readonly identityVerifiers: readonly IdentityVerifierSection[];
}
