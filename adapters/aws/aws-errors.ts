import { isPortError, PortError, type PortErrorCode } from '#core/errors.ts';

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

const CODE_OF_STATUS: Readonly<Record<number, PortErrorCode>> = {
  400: 'invalid_argument',
  401: 'permission_denied',
  403: 'permission_denied',
  404: 'not_found',
  408: 'unavailable',
  409: 'failed_precondition',
  412: 'failed_precondition',
  413: 'invalid_argument',
  429: 'resource_exhausted',
};

/** What a service adds to or changes of the table. */
export type AwsCodes = Readonly<Record<string, PortErrorCode>>;

export interface AwsCall {
  /** What is being done, for the message: `get waveforms/x of bucket y`. */
  readonly what: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly codes?: AwsCodes;
}

/** Makes one call with a limit of time. Whatever it throws leaves as a PortError, with the SDK's error as its cause. */
export async function awsCall<Result>(
  { what, timeoutMs, signal, codes = {} }: AwsCall,
  call: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const timeout = AbortSignal.timeout(timeoutMs);
  const stopped = signal ? AbortSignal.any([signal, timeout]) : timeout;
  const throwIfStopped = (cause: unknown): void => {
    if (signal?.aborted) throw new PortError('cancelled', `${what}: the caller stopped waiting`, { cause });
    if (timeout.aborted)
      throw new PortError('deadline_exceeded', `${what}: no answer within ${timeoutMs} ms`, { cause });
  };
  throwIfStopped(signal?.reason);
  try {
    return await call(stopped);
  } catch (error) {
    if (isPortError(error)) throw error;
    throwIfStopped(error);
    throw new PortError(codeOfAwsError(error, codes), `${what}: ${String(error)}`, {
      cause: error,
    });
  }
}

/** The code of an error of the SDK: by the service's own names, those of all services, the status, and else the network's. */
export function codeOfAwsError(error: unknown, codes: AwsCodes = {}): PortErrorCode {
  if (!(error instanceof Error)) return 'internal';
  const known = codes[error.name] ?? CODES[error.name];
  if (known) return known;
  const status = statusOf(error);
  if (status === undefined) return isOfNetwork(error) ? 'unavailable' : 'internal';
  return CODE_OF_STATUS[status] ?? (status >= 500 ? 'unavailable' : 'internal');
}

/** Where the answer's body was none of the service's, as a proxy's page, the SDK keeps the answer itself. */
function statusOf(error: unknown): number | undefined {
  const { $metadata, $response } = error as {
    readonly $metadata?: { readonly httpStatusCode?: number };
    readonly $response?: { readonly statusCode?: number };
  };
  return $metadata?.httpStatusCode ?? $response?.statusCode;
}

/** Node's own errors of sockets and names have a code such as ECONNRESET. */
function isOfNetwork(error: Error): boolean {
  return 'code' in error && typeof error.code === 'string' && /^E[A-Z_]+$/.test(error.code);
}
