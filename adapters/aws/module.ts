import { provide, provideNotifier, type Offer } from '../provider-module.ts';
import { cognitoTokens } from './cognito-identity-verifier/cognito-identity-verifier.ts';
import { cognitoIdentityVerifierConfigSchema } from './cognito-identity-verifier/config.ts';
import { sagemakerModelInferenceConfigSchema } from './sagemaker-model-inference/config.ts';
import { SagemakerModelInference } from './sagemaker-model-inference/sagemaker-model-inference.ts';
import { sagemakerModelRegistryConfigSchema } from './sagemaker-model-registry/config.ts';
import { SagemakerModelRegistry } from './sagemaker-model-registry/sagemaker-model-registry.ts';
import { dynamodbCheckpointStoreConfigSchema } from './dynamodb-checkpoint-store/config.ts';
import { DynamodbCheckpointStore } from './dynamodb-checkpoint-store/dynamodb-checkpoint-store.ts';
import { iotCoreDeviceGatewayConfigSchema, type IotCoreDeviceGatewayConfig } from './iot-core-device-gateway/config.ts';
import { iotCoreConnection } from './iot-core-device-gateway/device-connection.ts';
import { IotCoreDeviceGateway } from './iot-core-device-gateway/iot-core-device-gateway.ts';
import { iotCoreDeviceRegistryConfigSchema } from './iot-core-device-registry/config.ts';
import { IotCoreDeviceRegistry } from './iot-core-device-registry/iot-core-device-registry.ts';
import { kinesisEventStreamConfigSchema } from './kinesis-event-stream/config.ts';
import { KinesisEventStream } from './kinesis-event-stream/kinesis-event-stream.ts';
import { s3ObjectStoreConfigSchema } from './s3-object-store/config.ts';
import { S3ObjectStore } from './s3-object-store/s3-object-store.ts';
import { secretsManagerSecretStoreConfigSchema } from './secrets-manager-secret-store/config.ts';
import { SecretsManagerSecretStore } from './secrets-manager-secret-store/secrets-manager-secret-store.ts';
import { ssmSecretStoreConfigSchema } from './ssm-secret-store/config.ts';
import { SsmSecretStore } from './ssm-secret-store/ssm-secret-store.ts';
import { sesNotifierConfigSchema } from './ses-notifier/config.ts';
import { SesNotifier } from './ses-notifier/ses-notifier.ts';
import { snsNotifierConfigSchema } from './sns-notifier/config.ts';
import { SnsNotifier } from './sns-notifier/sns-notifier.ts';
import { issuerOffer } from '../oidc/issuer-offer.ts';

/** Loaded by `tribo verify` alone. */
const verifications = () => import('./verifications.ts');

/** What a site may have of AWS. */
export const awsOffers: readonly Offer[] = [
  provide(
    'objectStore',
    's3-object-store',
    s3ObjectStoreConfigSchema,
    async (settings, { closing }) => closing(await S3ObjectStore.open(settings)),
    async (settings, tools) => (await verifications()).verifyS3ObjectStore(settings, tools),
  ),
  provide(
    'secretStore',
    'secrets-manager-secret-store',
    secretsManagerSecretStoreConfigSchema,
    async (settings, { closing }) => closing(await SecretsManagerSecretStore.open(settings)),
    async (settings, tools) => (await verifications()).verifySecretsManagerSecretStore(settings, tools),
  ),
  provide(
    'secretStore',
    'ssm-secret-store',
    ssmSecretStoreConfigSchema,
    async (settings, { closing }) => closing(await SsmSecretStore.open(settings)),
    async (settings, tools) => (await verifications()).verifySsmSecretStore(settings, tools),
  ),
  provide(
    'checkpointStore',
    'dynamodb-checkpoint-store',
    dynamodbCheckpointStoreConfigSchema,
    async (settings, { closing }) => closing(await DynamodbCheckpointStore.open(settings)),
    async (settings, tools) => (await verifications()).verifyDynamodbCheckpointStore(settings, tools),
  ),
  provide(
    'eventStream',
    'kinesis-event-stream',
    kinesisEventStreamConfigSchema,
    async (settings, { closing }) => closing(await KinesisEventStream.open(settings)),
    async (settings, tools) => (await verifications()).verifyKinesisEventStream(settings, tools),
  ),
  {
    ...provide(
      'deviceGateway',
      'iot-core-device-gateway',
      iotCoreDeviceGatewayConfigSchema,
      async (settings, { get }) => {
        const [devices, clock] = [await get('deviceRegistry'), await get('clock')];
        return (hooks) => new IotCoreDeviceGateway(settings, { ...hooks, devices, clock });
      },
      async (settings, tools) => (await verifications()).verifyIotCoreDeviceGateway(settings, tools),
    ),
    needs: { deviceRegistry: 'iot-core-device-registry' },
    describeConnection: (settings) => iotCoreConnection(settings as IotCoreDeviceGatewayConfig),
  },
  provide(
    'deviceRegistry',
    'iot-core-device-registry',
    iotCoreDeviceRegistryConfigSchema,
    async (settings, { closing, get }) => closing(await IotCoreDeviceRegistry.open(settings, await get('clock'))),
    async (settings, tools) => (await verifications()).verifyIotCoreDeviceRegistry(settings, tools),
  ),
  provide(
    'modelInference',
    'sagemaker-model-inference',
    sagemakerModelInferenceConfigSchema,
    async (settings, { closing }) => closing(await SagemakerModelInference.open(settings)),
    async (settings) => (await verifications()).verifySagemakerModelInference(settings),
  ),
  provide(
    'modelRegistry',
    'sagemaker-model-registry',
    sagemakerModelRegistryConfigSchema,
    async (settings, { closing, get }) => {
      const parts = { objects: await get('objectStore'), checkpoints: await get('checkpointStore') };
      return closing(await SagemakerModelRegistry.open(settings, { ...parts, clock: await get('clock') }));
    },
    async (settings) => (await verifications()).verifySagemakerModelRegistry(settings),
  ),
  provideNotifier('sns-notifier', snsNotifierConfigSchema, (settings) => SnsNotifier.open(settings), {
    target: ({ topicArn }) => `topic ${topicArn}`,
    needs: ({ topicArn }) => `sns:Publish on ${topicArn}`,
  }),
  provideNotifier('ses-notifier', sesNotifierConfigSchema, (settings) => SesNotifier.open(settings), {
    target: ({ to }) => to.join(', '),
    needs: ({ from }) => `ses:SendEmail and ses:SendRawEmail on the identity of ${from}`,
  }),
  issuerOffer('cognito-identity-verifier', cognitoIdentityVerifierConfigSchema, cognitoTokens),
];
