import type { ModelEndpoint } from '../../hosted-model-inference.ts';
import { postJson } from '../../post-json.ts';
import { loadSdk } from '../../sdk.ts';
import type { AzureMlModelInferenceConfig } from './config.ts';

const SCOPE = 'https://ml.azure.com/.default';

/** Azure has no SDK for scoring: tokens are of its identity library, which is loaded here and nowhere else. */
export async function openScoring({
  scoringUri,
  deployment,
}: AzureMlModelInferenceConfig): Promise<Pick<ModelEndpoint, 'invoke' | 'close'>> {
  const { DefaultAzureCredential } = await loadSdk('Azure', () => import('@azure/identity'));
  // Retries are core/delivery's. The library keeps a token as long as it is good.
  const credential = new DefaultAzureCredential({ retryOptions: { maxRetries: 0 } });
  return {
    invoke: async (body, abortSignal) => {
      const { token } = await credential.getToken(SCOPE, { abortSignal });
      const headers = {
        authorization: `Bearer ${token}`,
        ...(deployment !== undefined && { 'azureml-model-deployment': deployment }),
      };
      return postJson(scoringUri, body, headers, abortSignal);
    },
    close: () => undefined,
  };
}
