import { afterAll, beforeAll } from '@jest/globals';
import { BlobObjectStore } from '#adapters/azure/blob-object-store/blob-object-store.ts';
import { blobObjectStoreConfigSchema } from '#adapters/azure/blob-object-store/config.ts';
import { Azurite } from '../azurite.ts';
import { HttpFaults } from '../http-faults.ts';
import { describeObjectsUnderFaults } from '../objects-under-faults.ts';
import { blobError } from './azure-faults.ts';

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

describeObjectsUnderFaults(
  'Blob Storage',
  { timeoutMs, expiredToken: blobError(401, 'InvalidAuthenticationInfo'), throttled: blobError(503, 'ServerBusy') },
  async () => ({ store, wire }),
);
