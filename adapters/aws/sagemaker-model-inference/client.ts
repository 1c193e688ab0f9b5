import type { ModelEndpoint } from '../../hosted-model-inference.ts';
import { loadSdk } from '../../sdk.ts';
import { clientSettings } from '../aws-place.ts';
import type { SagemakerModelInferenceConfig } from './config.ts';

/** The SDK is loaded here and nowhere else, so that a site without SageMaker never loads it. */
export async function openSagemakerRuntime(
  config: SagemakerModelInferenceConfig,
): Promise<Pick<ModelEndpoint, 'invoke' | 'close'>> {
  const sdk = await loadSdk('AWS', () => import('@aws-sdk/client-sagemaker-runtime'));
  const client = new sdk.SageMakerRuntimeClient(clientSettings(config));
  const { endpointName: EndpointName, targetVariant: TargetVariant } = config;
  const to = {
    ...{ EndpointName, ContentType: 'application/json', Accept: 'application/json' },
    ...(TargetVariant !== undefined && { TargetVariant }),
  };
  return {
    invoke: async (body, abortSignal) => {
      const command = new sdk.InvokeEndpointCommand({ ...to, Body: Buffer.from(body) });
      const { Body } = await client.send(command, { abortSignal });
      return Buffer.from(Body).toString('utf8');
    },
    close: () => client.destroy(),
  };
}
