import { randomUUID } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { IotHubDeviceRegistry } from '#adapters/azure/iot-hub-device-registry/iot-hub-device-registry.ts';
import { keyVaultSecretStoreConfigSchema } from '#adapters/azure/key-vault-secret-store/config.ts';
import { iotHubDeviceRegistryConfigSchema } from '#adapters/azure/iot-hub-device-registry/config.ts';
import { verifyIotHubDeviceRegistry, verifyKeyVaultSecretStore } from '#adapters/azure/verifications.ts';
import type { DeviceId, TenantId } from '#core/domain/ids.ts';
import { Azurite } from '../azurite.ts';
import { IotHub } from '../iot-hub.ts';
import { KeyVaultPeer } from '../key-vault.ts';
import { verifyAfterKill, verifyNow, verifySite } from '../verify-site.ts';

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

  // As Key Vault: the command itself cannot sign in here.
  it(
    'runs the contract of IoT Hub beside its devices, and removes its own, also those of a run that was killed',
    async () => {
      await using hub = await IotHub.start();
      const settings = iotHubDeviceRegistryConfigSchema.parse(hub.place);
      const registry = await IotHubDeviceRegistry.open(settings, undefined, hub.credential);
      await registry.addDevice({ id: 'gauge-1' as DeviceId, tenant: 'acme' as TenantId, machines: [] });
      registry.close();
      const before = structuredClone([...hub.registry.devices]);
      const verdict = await verifyAfterKill((run) => verifyIotHubDeviceRegistry(settings, { run }, hub.credential));
      expect(verdict).toMatchObject({ failed: [], problems: [], ok: true, passed: 13, removedOfEarlier: 1 });
      expect([...hub.registry.devices]).toEqual(before);
    },
    TIMEOUT_MS,
  );

  it(
    'names the roles where IoT Hub hides the keys of devices from this one',
    async () => {
      await using hub = await IotHub.start();
      hub.registry.hidesKeys = true;
      const settings = iotHubDeviceRegistryConfigSchema.parse(hub.place);
      const verdict = await verifyNow((run) => verifyIotHubDeviceRegistry(settings, { run }, hub.credential));
      expect(verdict.failed).toContainEqual(
        expect.objectContaining({
          problem: expect.stringMatching(/^permission_denied: .*does not show the keys/),
          remedy: expect.stringContaining('the role needs: the roles IoT Hub Registry Contributor'),
        }),
      );
      expect([...hub.registry.devices.keys()]).toEqual([]);
    },
    TIMEOUT_MS,
  );
});
