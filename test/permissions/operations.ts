/** The begin of IAM's actions, by the SDK's package; an action has the name of its operation unless {@link ACTIONS} says otherwise. */
const IAM: Readonly<Record<string, string>> = {
  'client-dynamodb': 'dynamodb',
  'client-iot': 'iot',
  'client-iot-data-plane': 'iot',
  'client-kinesis': 'kinesis',
  'client-s3': 's3',
  'client-sagemaker': 'sagemaker',
  'client-sagemaker-runtime': 'sagemaker',
  'client-secrets-manager': 'secretsmanager',
  'client-sesv2': 'ses',
  'client-sns': 'sns',
  'client-ssm': 'ssm',
};

const blobs = (action: string) => `Microsoft.Storage/storageAccounts/blobServices/containers/blobs/${action}`;
const vault = (action: string) => `Microsoft.KeyVault/vaults/secrets/${action}`;
const hub = (action: string) => `Microsoft.Devices/IotHubs/${action}`;
const events = (action: string) => `Microsoft.EventHub/namespaces/messages/${action}/action`;

/** What a service demands for a call, as its vendor documents it. */
const ACTIONS: Readonly<Record<string, readonly string[]>> = {
  // https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions
  'client-s3 ListObjectsV2': ['s3:ListBucket'],
  'lib-storage Upload.done': ['s3:PutObject', 's3:AbortMultipartUpload'],
  // https://docs.aws.amazon.com/ses/latest/dg/control-user-access.html
  'client-sesv2 SendEmail': ['ses:SendEmail', 'ses:SendRawEmail'],

  // https://cloud.google.com/storage/docs/access-control/iam-json: to write where there is an object is to delete that.
  'storage Bucket.getFiles': ['storage.objects.list'],
  'storage File.createWriteStream': ['storage.objects.create', 'storage.objects.delete'],
  'storage File.createReadStream': ['storage.objects.get'],
  'storage File.delete': ['storage.objects.delete'],
  // https://cloud.google.com/pubsub/docs/access-control
  'pubsub-api PublisherClient.publish': ['pubsub.topics.publish'],
  'pubsub Topic.createSubscription': ['pubsub.subscriptions.create', 'pubsub.topics.attachSubscription'],
  'pubsub Subscription.exists': ['pubsub.subscriptions.get'],
  'pubsub Subscription.on': ['pubsub.subscriptions.consume'],
  'pubsub Subscription.delete': ['pubsub.subscriptions.delete'],
  'pubsub PubSub.getSubscriptions': ['pubsub.subscriptions.list'],
  'pubsub IAM.testPermissions': [],
  // https://cloud.google.com/secret-manager/docs/access-control
  'secret-manager SecretManagerServiceClient.accessSecretVersion': ['secretmanager.versions.access'],
  'secret-manager SecretManagerServiceClient.addSecretVersion': ['secretmanager.versions.add'],
  'secret-manager SecretManagerServiceClient.listSecretVersions': ['secretmanager.versions.list'],
  'secret-manager SecretManagerServiceClient.destroySecretVersion': ['secretmanager.versions.destroy'],
  'secret-manager SecretManagerServiceClient.createSecret': ['secretmanager.secrets.create'],
  'secret-manager SecretManagerServiceClient.deleteSecret': ['secretmanager.secrets.delete'],
  // https://cloud.google.com/vertex-ai/docs/general/iam-permissions
  'HTTP of gcp/vertex-ai-model-inference': ['aiplatform.endpoints.predict'],

  // https://learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory
  'storage-blob ContainerClient.listBlobsFlat': [blobs('read')],
  'storage-blob BlobClient.exists': [blobs('read')],
  'storage-blob BlobClient.download': [blobs('read')],
  'storage-blob BlockBlobClient.upload': [blobs('write')],
  'storage-blob BlockBlobClient.stageBlock': [blobs('write')],
  'storage-blob BlockBlobClient.commitBlockList': [blobs('write')],
  'storage-blob BlobClient.delete': [blobs('delete')],
  'storage-blob BlobClient.deleteIfExists': [blobs('delete')],
  // https://learn.microsoft.com/azure/key-vault/general/rbac-guide: the SDK looks at what it has deleted, and at what it recovers.
  'keyvault-secrets SecretClient.getSecret': [vault('getSecret/action')],
  'keyvault-secrets SecretClient.setSecret': [vault('setSecret/action')],
  'keyvault-secrets SecretClient.beginDeleteSecret': [vault('delete'), vault('readMetadata/action')],
  'keyvault-secrets SecretClient.beginRecoverDeletedSecret': [vault('recover/action'), vault('getSecret/action')],
  // https://learn.microsoft.com/azure/event-hubs/authorize-access-azure-active-directory: either right shows what a hub is.
  'event-hubs EventHubProducerClient.sendBatch': [events('send')],
  'event-hubs EventHubProducerClient.createBatch': [events('send')],
  'event-hubs EventHubProducerClient.getEventHubProperties': [],
  'event-hubs EventHubProducerClient.getPartitionProperties': [],
  'event-hubs EventHubConsumerClient.getEventHubProperties': [],
  'event-hubs EventHubConsumerClient.subscribe': [events('receive')],
  // https://learn.microsoft.com/azure/iot-hub/authenticate-authorize-azure-ad: a change of several identities asks for delete too.
  'azure-iothub Registry.addDevices': [hub('devices/write'), hub('devices/delete')],
  'azure-iothub Registry.updateDevices': [hub('devices/write'), hub('devices/delete')],
  'azure-iothub Registry.get': [hub('devices/read')],
  'azure-iothub Registry.delete': [hub('devices/delete')],
  'azure-iothub Registry.getTwin': [hub('twins/read')],
  'azure-iothub Query.nextAsTwin': [hub('twins/read')],
  'azure-iothub Registry.updateTwin': [hub('twins/write')],
  'azure-iothub Client.send': [hub('cloudToDeviceMessages/send/action')],
  'azure-iothub Client.getFeedbackReceiver': [hub('cloudToDeviceMessages/feedback/action')],
  // https://learn.microsoft.com/azure/communication-services/quickstarts/email/send-email-smtp/smtp-authentication: said of SMTP;
  // the one role of its own has more.
  'communication-email EmailClient.beginSend': [
    'Microsoft.Communication/CommunicationServices/read',
    'Microsoft.Communication/CommunicationServices/write',
    'Microsoft.Communication/EmailServices/write',
  ],
  // https://learn.microsoft.com/azure/machine-learning/how-to-authenticate-online-endpoint
  'HTTP of azure/azure-ml-model-inference': [
    'Microsoft.MachineLearningServices/workspaces/onlineEndpoints/score/action',
  ],
};

/** What asks a service for nothing by itself: makes, names, configures or closes a part of the SDK, or signs in. */
const OF_NO_SERVICE: ReadonlySet<string> = new Set([
  ...['core Client.send', 'lib-storage new Upload', 'lib-storage Upload.abort', 'types transformToByteArray'],
  ...['storage Storage.bucket', 'storage Bucket.file', 'storage CRC32C.update', 'storage CRC32C.toString'],
  ...['pubsub PubSub.topic', 'pubsub PubSub.subscription', 'pubsub PubSub.getClientConfig', 'pubsub Duration.from'],
  ...['storage-blob ContainerClient.getBlockBlobClient', 'storage-blob ContainerClient.getBlobClient'],
  ...['core-paging byPage', 'core-lro SimplePollerLike.pollUntilDone', 'event-hubs EventDataBatch.tryAdd'],
  ...['azure-iothub Registry.fromTokenCredential', 'azure-iothub Client.fromTokenCredential'],
  ...['azure-iothub Client.setRetryPolicy', 'azure-iothub Client.open', 'azure-iothub Properties.add'],
  ...['azure-iothub Registry.createQuery', 'identity ChainedTokenCredential.getToken'],
  ...['google-auth-library GoogleAuth.getRequestHeaders'],
]);
const MAKES_OR_CLOSES = /^[\w-]+ (new \w+|\w+\.(close|destroy))$/;

/** The actions that a call demands; undefined where nothing here says. */
export function actionsOf(operation: string): readonly string[] | undefined {
  const known = ACTIONS[operation];
  if (known) return known;
  if (OF_NO_SERVICE.has(operation) || MAKES_OR_CLOSES.test(operation)) return [];
  const [service = '', name = ''] = operation.split(' ');
  const prefix = IAM[service];
  // Of a client that has a method for each operation: `IoT.createThing`.
  const method = name.slice(name.indexOf('.') + 1);
  return prefix === undefined ? undefined : [`${prefix}:${method.charAt(0).toUpperCase()}${method.slice(1)}`];
}
