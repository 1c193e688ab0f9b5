import type { PortErrorCode } from '#core/errors.ts';
import { HostedModelInference } from '../../hosted-model-inference.ts';
import { codeOfAnswer, HttpAnswerError } from '../../post-json.ts';
import { codeOfGcpError } from '../gcp-errors.ts';
import { openVertexEndpoint } from './client.ts';
import type { VertexAiModelInferenceConfig } from './config.ts';

/** Models behind an endpoint of Vertex AI. */
export class VertexAiModelInference extends HostedModelInference {
  static async open(config: VertexAiModelInferenceConfig): Promise<VertexAiModelInference> {
    const { endpointId, location, maxRequestBytes, timeoutMs } = config;
    return new VertexAiModelInference({
      ...{ name: `Vertex AI endpoint ${endpointId} in ${location}`, maxRequestBytes, timeoutMs, codeOf },
      modelAnswerOf: (error) => (error instanceof HttpAnswerError ? error.body : undefined),
      ...(await openVertexEndpoint(config)),
    });
  }
}

function codeOf(error: unknown): PortErrorCode {
  // By the status of Google's own error, 400 besides: no model is deployed at the endpoint.
  if (error instanceof HttpAnswerError && /"status":\s*"FAILED_PRECONDITION"/.test(error.body)) return 'unavailable';
  return codeOfAnswer(error, codeOfGcpError);
}
