import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { dynamodbCheckpointStoreConfigSchema } from '#adapters/aws/dynamodb-checkpoint-store/config.ts';
import { DynamodbCheckpointStore } from '#adapters/aws/dynamodb-checkpoint-store/dynamodb-checkpoint-store.ts';
import { s3ObjectStoreConfigSchema } from '#adapters/aws/s3-object-store/config.ts';
import { S3ObjectStore } from '#adapters/aws/s3-object-store/s3-object-store.ts';
import { secretsManagerSecretStoreConfigSchema } from '#adapters/aws/secrets-manager-secret-store/config.ts';
import { SecretsManagerSecretStore } from '#adapters/aws/secrets-manager-secret-store/secrets-manager-secret-store.ts';
import type { CallOptions } from '#core/errors.ts';

/** Takes each request for a container's credentials, and answers none. */
let silent: Server;

beforeAll(async () => {
  silent = createServer(() => undefined).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  // Of the chain, what comes before a container's role is in the environment and in files.
  delete process.env['AWS_ACCESS_KEY_ID'];
  delete process.env['AWS_PROFILE'];
  Object.assign(process.env, {
    AWS_CONFIG_FILE: '/nobodys/file',
    AWS_SHARED_CREDENTIALS_FILE: '/nobodys/file',
    AWS_CONTAINER_CREDENTIALS_FULL_URI: `http://127.0.0.1:${(silent.address() as AddressInfo).port}/credentials`,
  });
});

afterAll(() => {
  silent.closeAllConnections();
  silent.close();
});

const place = { region: 'us-east-2', timeoutMs: 500 };
const get = {
  S3: async (options: CallOptions) => {
    const store = await S3ObjectStore.open(s3ObjectStoreConfigSchema.parse({ ...place, bucket: 'akron' }));
    return store.get('x', options);
  },
  DynamoDB: async (options: CallOptions) => {
    const config = dynamodbCheckpointStoreConfigSchema.parse({ ...place, table: 'akron' });
    return (await DynamodbCheckpointStore.open(config)).load('x', options);
  },
  'Secrets Manager': async (options: CallOptions) => {
    const config = secretsManagerSecretStoreConfigSchema.parse({ ...place, prefix: 'akron/' });
    return (await SecretsManagerSecretStore.open(config)).get('x', options);
  },
};

describe.each(Object.entries(get))('a call to %s while nobody answers who asks for credentials', (_service, call) => {
  it('ends with its time', async () => {
    await expect(call({})).rejects.toMatchObject({
      code: 'deadline_exceeded',
      message: expect.stringContaining('no answer within 500 ms'),
    });
  }, 20_000);

  it('ends when its caller stops waiting', async () => {
    await expect(call({ signal: AbortSignal.timeout(100) })).rejects.toMatchObject({ code: 'cancelled' });
  }, 20_000);
});
