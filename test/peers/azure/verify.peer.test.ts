import { randomUUID } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { keyVaultSecretStoreConfigSchema } from '#adapters/azure/key-vault-secret-store/config.ts';
import { verifyKeyVaultSecretStore } from '#adapters/azure/verifications.ts';
import { Azurite } from '../azurite.ts';
import { KeyVaultPeer } from '../key-vault.ts';
import { verifyAfterKill, verifySite } from '../verify-site.ts';

const TIMEOUT_MS = 300_000;

describe('tribo verify of a site on Azure', () => {
  it(
    'runs the contract of Blob Storage beside what is there, and leaves nothing',
    async () => {
      await using azurite = await Azurite.start();
      const { ContainerClient } = await import('@azure/storage-blob');
      const container = new ContainerClient(azurite.connectionString, 'objects');
      await container.create();
      await container.uploadBlockBlob('plant/1', 'x', 1);
      const place = { emulatorConnectionString: azurite.connectionString, container: 'objects', prefix: 'plant/' };
      const { code, ports } = await verifySite({ objectStore: { adapter: 'blob-object-store', ...place } });
      expect({ code, ports }).toMatchObject({
        code: 0,
        ports: [{ problems: [], failed: [], ok: true, passed: 11, leftOut: [] }],
      });
      const names: string[] = [];
      for await (const { name } of container.listBlobsFlat()) names.push(name);
      expect(names).toEqual(['plant/1']);
    },
    TIMEOUT_MS,
  );

  // The vendor's credentials want Entra's own servers: the command itself cannot sign in here.
  it(
    'runs the contract of Key Vault, and deletes its secrets, also those of a run that was killed',
    async () => {
      await using vault = await KeyVaultPeer.start();
      const token = randomUUID();
      vault.tokens.add(token);
      const getToken = async () => ({ token, expiresOnTimestamp: Date.now() + 3_600_000 });
      const test = { tlsOptions: { ca: vault.peer.ca }, credential: { getToken } };
      const settings = keyVaultSecretStoreConfigSchema.parse({ vaultUrl: vault.peer.url, prefix: 'plant-' });
      const verdict = await verifyAfterKill((run) => verifyKeyVaultSecretStore(settings, { run }, test));
      expect(verdict).toMatchObject({ failed: [], problems: [], ok: true, passed: 9, removedOfEarlier: 1 });
      expect(vault.names()).toEqual([]);
    },
    TIMEOUT_MS,
  );
});
