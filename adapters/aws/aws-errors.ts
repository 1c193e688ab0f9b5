import type { PortErrorCode } from '#core/errors.ts';
import { cloudCall, codeOfStatus, type CloudCall } from '../cloud-call.ts';

/** What the SDK's errors mean, by their name: of all services first, then by status. */
const CODES: Readonly<Record<string, PortErrorCode>> = {
  AccessDenied: 'permission_denied',
  AccessDeniedException: 'permission_denied',
  CredentialsProviderError: 'permission_denied',
  ExpiredToken: 'permission_denied',
  ExpiredTokenException: 'permission_denied',
  InvalidAccessKeyId: 'permission_denied',
  InvalidClientTokenId: 'permission_denied',
  SignatureDoesNotMatch: 'permission_denied',
  UnrecognizedClientException: 'permission_denied',
  LimitExceededException: 'resource_exhausted',
  ProvisionedThroughputExceededException: 'resource_exhausted',
  RequestLimitExceeded: 'resource_exhausted',
  SlowDown: 'resource_exhausted',
  Throttling: 'resource_exhausted',
  ThrottlingException: 'resource_exhausted',
  TooManyRequestsException: 'resource_exhausted',
  ResourceNotFoundException: 'not_found',
  ValidationException: 'invalid_argument',
  RequestTimeout: 'unavailable',
  InternalError: 'unavailable',
  InternalServerError: 'unavailable',
  ServiceUnavailable: 'unavailable',
  TimeoutError: 'unavailable',
};

/** What a service adds to or changes of the table. */
export type AwsCodes = Readonly<Record<string, PortErrorCode>>;

/** One call, and what its service's errors mean. */
export interface AwsCall extends CloudCall {
  readonly codes?: AwsCodes;
}

/** Makes one call with a limit of time. Whatever it throws leaves as a PortError, with the SDK's error as its cause. */
export function awsCall<Result>(
  { codes = {}, ...rest }: AwsCall,
  call: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  return cloudCall(rest, (error) => codeOfAwsError(error, codes), call);
}

/** The code of an error of the SDK: by the service's own names, those of all services, the status, and else the network's. */
export function codeOfAwsError(error: unknown, codes: AwsCodes = {}): PortErrorCode {
  if (!(error instanceof Error)) return 'internal';
  const known = codes[error.name] ?? CODES[error.name];
  if (known) return known;
  return codeOfStatus(statusOf(error), error);
}

/** Where the answer's body was none of the service's, as a proxy's page, the SDK keeps the answer itself. */
function statusOf(error: unknown): number | undefined {
  const { $metadata, $response } = error as {
    readonly $metadata?: { readonly httpStatusCode?: number };
    readonly $response?: { readonly statusCode?: number };
  };
  return $metadata?.httpStatusCode ?? $response?.statusCode;
}
