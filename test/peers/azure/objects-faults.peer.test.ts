import { afterAll, beforeAll } from '@jest/globals';
import { BlobObjectStore } from '#adapters/azure/blob-object-store/blob-object-store.ts';
import { blobObjectStoreConfigSchema } from '#adapters/azure/blob-object-store/config.ts';
import { Azurite } from '../azurite.ts';
import { answered, HttpFaults } from '../http-faults.ts';
import { describeObjectsUnderFaults } from '../objects-under-faults.ts';

const CONTAINER = 'tribo-faults';
const timeoutMs = 3000;
let azurite: Azurite;
let wire: HttpFaults;
let store: BlobObjectStore;

beforeAll(async () => {
  azurite = await Azurite.start();
  const [endpoint = ''] = /http:\/\/127\.0\.0\.1:\d+/.exec(azurite.connectionString) ?? [];
  wire = await HttpFaults.start(endpoint);
  const { ContainerClient } = await import('@azure/storage-blob');
  await new ContainerClient(azurite.connectionString, CONTAINER).create();
  const emulatorConnectionString = azurite.connectionString.replace(endpoint, wire.endpoint);
  const place = { emulatorConnectionString, container: CONTAINER, blockBytes: 4_194_304, timeoutMs };
  store = await BlobObjectStore.open(blobObjectStoreConfigSchema.parse(place));
}, 300_000);

afterAll(async () => {
  store.close();
  await wire[Symbol.asyncDispose]();
  await azurite[Symbol.asyncDispose]();
});

// https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
const azureError = (status: number, code: string) =>
  answered(
    status,
    `<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>by the test</Message></Error>`,
    {
      'content-type': 'application/xml',
      'x-ms-error-code': code,
    },
  );

describeObjectsUnderFaults(
  'Blob Storage',
  { timeoutMs, expiredToken: azureError(401, 'InvalidAuthenticationInfo'), throttled: azureError(503, 'ServerBusy') },
  async () => ({ store, wire }),
);
