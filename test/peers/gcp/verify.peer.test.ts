import { describe, expect, it } from '@jest/globals';
import { secretManagerSecretStoreConfigSchema } from '#adapters/gcp/secret-manager-secret-store/config.ts';
import { verifySecretManagerSecretStore } from '#adapters/gcp/verifications.ts';
import { FakeGcs } from '../fake-gcs.ts';
import { SecretManagerPeer } from '../secret-manager.ts';
import { verifyAfterKill, verifySite } from '../verify-site.ts';

const TIMEOUT_MS = 300_000;

describe('tribo verify of a site on Google Cloud', () => {
  it('runs the contract of Cloud Storage beside what is there, and leaves nothing', async () => {
    await using gcs = await FakeGcs.start();
    const { Storage } = await import('@google-cloud/storage');
    const bucket = new Storage({ apiEndpoint: gcs.endpoint, projectId: 'tribo' }).bucket('verified');
    await bucket.create();
    await bucket.file('plant/1').save('x');
    const place = { emulatorEndpoint: gcs.endpoint, bucket: 'verified', prefix: 'plant/' };
    const { code, ports } = await verifySite({ objectStore: { adapter: 'gcs-object-store', ...place } });
    expect({ code, ports }).toMatchObject({
      code: 0,
      ports: [{ problems: [], failed: [], ok: true, passed: 11, leftOut: [] }],
    });
    const [files] = await bucket.getFiles();
    expect(files.map(({ name }) => name)).toEqual(['plant/1']);
    // The peer is built from its source, once.
  }, 900_000);

  // The vendor's credentials want Google's own servers: the command itself cannot sign in here.
  it(
    'runs the contract of Secret Manager, and deletes its secrets, also those of a run that was killed',
    async () => {
      await using peer = await SecretManagerPeer.start();
      const settings = secretManagerSecretStoreConfigSchema.parse({ projectId: 'plant-akron' });
      const server = { apiEndpoint: '127.0.0.1', port: peer.port, sslCreds: peer.credentials };
      const verdict = await verifyAfterKill((run) => verifySecretManagerSecretStore(settings, { run }, server));
      expect(verdict).toMatchObject({ failed: [], problems: [], ok: true, passed: 9, removedOfEarlier: 1 });
      expect([...peer.secrets.keys()]).toEqual([]);
    },
    TIMEOUT_MS,
  );
});
