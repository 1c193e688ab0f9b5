import type { VerificationTools } from '#core/contracts/verification.ts';
import { bucketVerification } from '../bucket-verification.ts';
import { secretsVerification } from '../secrets-verification.ts';
import type { GcsObjectStoreConfig } from './gcs-object-store/config.ts';
import { GcsObjectStore } from './gcs-object-store/gcs-object-store.ts';
import { inferenceVerification } from '../inference-verification.ts';
import type { VertexAiModelInferenceConfig } from './vertex-ai-model-inference/config.ts';
import { VertexAiModelInference } from './vertex-ai-model-inference/vertex-ai-model-inference.ts';
import { openSecretManager } from './secret-manager-secret-store/client.ts';
import type { SecretManagerSecretStoreConfig } from './secret-manager-secret-store/config.ts';
import { SecretManagerSecretStore } from './secret-manager-secret-store/secret-manager-secret-store.ts';

export async function verifyGcsObjectStore(settings: GcsObjectStoreConfig, { run }: VerificationTools) {
  const where = `bucket ${settings.bucket}`;
  const needs = `the role Storage Object User on ${where}`;
  return bucketVerification(await GcsObjectStore.open(settings), { run, where, needs });
}

/** `test` names a server of a test. */
export function verifySecretManagerSecretStore(
  settings: SecretManagerSecretStoreConfig,
  { run }: Pick<VerificationTools, 'run'>,
  test?: Parameters<typeof openSecretManager>[1],
) {
  const { projectId, prefix } = settings;
  const open = async () => new SecretManagerSecretStore(settings, await openSecretManager(settings, test));
  return secretsVerification(open, {
    ...{ run, where: `Secret Manager of ${projectId}, below ${prefix}` },
    needs: `the role Secret Manager Admin in ${projectId} for secrets that begin with ${prefix}`,
  });
}

export function verifyVertexAiModelInference(settings: VertexAiModelInferenceConfig) {
  const where = `Vertex AI endpoint ${settings.endpointId}`;
  const needs = `aiplatform.endpoints.predict on ${where} in ${settings.location}`;
  return inferenceVerification(() => VertexAiModelInference.open(settings), { where, needs });
}
