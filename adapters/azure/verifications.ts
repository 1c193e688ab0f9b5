import type { TokenCredential } from '@azure/identity';
import type { VerificationTools } from '#core/contracts/verification.ts';
import { bucketVerification } from '../bucket-verification.ts';
import { systemClock } from '#core/clock.ts';
import { CHANGES_NAME, devicesVerification } from '../devices-verification.ts';
import { secretsVerification } from '../secrets-verification.ts';
import { BlobObjectStore } from './blob-object-store/blob-object-store.ts';
import type { BlobObjectStoreConfig } from './blob-object-store/config.ts';
import { inferenceVerification } from '../inference-verification.ts';
import { AzureMlModelInference } from './azure-ml-model-inference/azure-ml-model-inference.ts';
import type { AzureMlModelInferenceConfig } from './azure-ml-model-inference/config.ts';
import { iotHubCall } from './iot-hub-errors.ts';
import { openIotHubRegistry } from './iot-hub-device-registry/client.ts';
import type { IotHubDeviceRegistryConfig } from './iot-hub-device-registry/config.ts';
import { IotHubDeviceRegistry } from './iot-hub-device-registry/iot-hub-device-registry.ts';
import { openKeyVault, type KeyVaultSurroundings } from './key-vault-secret-store/client.ts';
import type { KeyVaultSecretStoreConfig } from './key-vault-secret-store/config.ts';
import { KeyVaultSecretStore } from './key-vault-secret-store/key-vault-secret-store.ts';

export async function verifyBlobObjectStore(settings: BlobObjectStoreConfig, { run }: VerificationTools) {
  const where = `container ${settings.container}`;
  const needs = `the role Storage Blob Data Contributor on ${where}`;
  return bucketVerification(await BlobObjectStore.open(settings), { run, where, needs });
}

/** `test` is what a test has instead of Azure's own. */
export function verifyKeyVaultSecretStore(
  settings: KeyVaultSecretStoreConfig,
  { run }: Pick<VerificationTools, 'run'>,
  test?: KeyVaultSurroundings,
) {
  const where = `vault ${settings.vaultUrl}`;
  return secretsVerification(async () => new KeyVaultSecretStore(settings, await openKeyVault(settings, test)), {
    ...{ run, where },
    needs: `the role Key Vault Secrets Officer on ${where}`,
  });
}

/** How often changes are looked for, for a case that waits for one. */
const SOON_MS = 1_000;

/**
 * With an identity of its own that tells of changes: the site's has room for the last sixty, which are not to be pushed out. `test`:
 * a credential instead of the default chain's.
 */
export async function verifyIotHubDeviceRegistry(
  settings: IotHubDeviceRegistryConfig,
  { run }: Pick<VerificationTools, 'run'>,
  test?: TokenCredential,
) {
  const { host, timeoutMs, changePollMs } = settings;
  const own = { ...settings, changesDevice: CHANGES_NAME, changePollMs: Math.min(changePollMs, SOON_MS) };
  const hub = await openIotHubRegistry(settings, test);
  return devicesVerification({
    ...{ run, where: `hub ${host}` },
    needs: `the roles IoT Hub Registry Contributor and IoT Hub Twin Contributor on ${host}`,
    open: () => IotHubDeviceRegistry.open(own, systemClock, test),
    discardChanges: () =>
      iotHubCall({ what: `remove the identity ${CHANGES_NAME}`, timeoutMs }, () => hub.delete(CHANGES_NAME)),
  });
}

export function verifyAzureMlModelInference(settings: AzureMlModelInferenceConfig) {
  const where = `Azure ML endpoint ${new URL(settings.scoringUri).host}`;
  const needs = `Microsoft.MachineLearningServices/workspaces/onlineEndpoints/score/action on ${where}`;
  return inferenceVerification(() => AzureMlModelInference.open(settings), { where, needs });
}
