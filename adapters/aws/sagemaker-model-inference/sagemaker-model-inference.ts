import type { PortErrorCode } from '#core/errors.ts';
import { codeOfStatus } from '../../cloud-call.ts';
import { HostedModelInference } from '../../hosted-model-inference.ts';
import { codeOfAwsError, type AwsCodes } from '../aws-errors.ts';
import { openSagemakerRuntime } from './client.ts';
import type { SagemakerModelInferenceConfig } from './config.ts';

const CODES: AwsCodes = {
  InternalDependencyException: 'unavailable',
  InternalFailure: 'unavailable',
  // A serverless endpoint that starts.
  ModelNotReadyException: 'unavailable',
  ValidationError: 'invalid_argument',
};

/** Models behind a real-time endpoint of SageMaker. */
export class SagemakerModelInference extends HostedModelInference {
  static async open(config: SagemakerModelInferenceConfig): Promise<SagemakerModelInference> {
    const { endpointName, maxRequestBytes, timeoutMs } = config;
    return new SagemakerModelInference({
      ...{ name: `SageMaker endpoint ${endpointName}`, maxRequestBytes, timeoutMs, codeOf },
      modelAnswerOf: (error) => (isModelError(error) ? error.OriginalMessage : undefined),
      ...(await openSagemakerRuntime(config)),
    });
  }
}

function codeOf(error: unknown): PortErrorCode {
  // The container's own answer, or that it gave none: then the status is 0 or 500.
  if (isModelError(error)) return codeOfStatus(error.OriginalStatusCode || 500, error);
  // SageMaker has no other name for it: "Endpoint akron of account 123456789012 not found."
  if (error instanceof Error && error.name === 'ValidationError' && /\bnot found\b/i.test(error.message))
    return 'not_found';
  return codeOfAwsError(error, CODES);
}

interface ModelError extends Error {
  readonly OriginalStatusCode?: number;
  readonly OriginalMessage?: string;
}

/** What the container answered with a status other than 2xx. */
function isModelError(error: unknown): error is ModelError {
  return error instanceof Error && error.name === 'ModelError';
}
