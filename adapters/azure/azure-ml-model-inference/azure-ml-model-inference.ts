import type { PortErrorCode } from '#core/errors.ts';
import { codeOfStatus } from '../../cloud-call.ts';
import { HostedModelInference } from '../../hosted-model-inference.ts';
import { codeOfAnswer, HttpAnswerError } from '../../post-json.ts';
import { codeOfAzureError } from '../azure-errors.ts';
import { openScoring } from './client.ts';
import type { AzureMlModelInferenceConfig } from './config.ts';

/** Of any answer of the container but 200. */
const MODEL_ERROR = 424;
const MODEL_STATUS = 'ms-azureml-model-error-statuscode';

/** What Azure's statuses mean that differ from HTTP's. */
const CODES: Readonly<Record<number, PortErrorCode>> = {
  // The container took longer than the deployment lets it.
  408: 'deadline_exceeded',
  // The endpoint is being changed.
  409: 'unavailable',
};

/** Models behind a managed online endpoint of Azure Machine Learning. */
export class AzureMlModelInference extends HostedModelInference {
  static async open(config: AzureMlModelInferenceConfig): Promise<AzureMlModelInference> {
    const { scoringUri, maxRequestBytes, timeoutMs } = config;
    return new AzureMlModelInference({
      ...{ name: `Azure ML endpoint ${new URL(scoringUri).host}`, maxRequestBytes, timeoutMs, codeOf },
      modelAnswerOf: (error) => (isModelError(error) ? error.body : undefined),
      ...(await openScoring(config)),
    });
  }
}

function codeOf(error: unknown): PortErrorCode {
  if (isModelError(error)) return codeOfStatus(Number(error.headers.get(MODEL_STATUS)) || 500, error);
  const own = error instanceof HttpAnswerError ? CODES[error.status] : undefined;
  return own ?? codeOfAnswer(error, codeOfAzureError);
}

function isModelError(error: unknown): error is HttpAnswerError {
  return error instanceof HttpAnswerError && error.status === MODEL_ERROR;
}
