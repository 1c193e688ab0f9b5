import { afterAll, beforeAll } from '@jest/globals';
import { gcsObjectStoreConfigSchema } from '#adapters/gcp/gcs-object-store/config.ts';
import { GcsObjectStore } from '#adapters/gcp/gcs-object-store/gcs-object-store.ts';
import { FakeGcs } from '../fake-gcs.ts';
import { answered, HttpFaults } from '../http-faults.ts';
import { describeObjectsUnderFaults } from '../objects-under-faults.ts';

const BUCKET = 'tribo-faults';
const timeoutMs = 3000;
let gcs: FakeGcs;
let wire: HttpFaults;
let store: GcsObjectStore;

// The peer is built from its source, once.
beforeAll(async () => {
  gcs = await FakeGcs.start();
  wire = await HttpFaults.start(gcs.endpoint);
  const { Storage } = await import('@google-cloud/storage');
  await new Storage({ apiEndpoint: gcs.endpoint, projectId: 'tribo' }).bucket(BUCKET).create();
  store = await GcsObjectStore.open(
    gcsObjectStoreConfigSchema.parse({ emulatorEndpoint: wire.endpoint, bucket: BUCKET, timeoutMs }),
  );
}, 900_000);

afterAll(async () => {
  store.close();
  await wire[Symbol.asyncDispose]();
  await gcs[Symbol.asyncDispose]();
});

// https://cloud.google.com/storage/docs/json_api/v1/status-codes
const googleError = (code: number, reason: string) =>
  answered(code, JSON.stringify({ error: { code, message: 'by the test', errors: [{ domain: 'global', reason }] } }), {
    'content-type': 'application/json; charset=UTF-8',
  });

describeObjectsUnderFaults(
  'Cloud Storage',
  { timeoutMs, expiredToken: googleError(401, 'authError'), throttled: googleError(429, 'rateLimitExceeded') },
  async () => ({ store, wire }),
);
