import type { PortErrorCode } from '#core/errors.ts';
import { cloudCall, codeOfStatus, type CloudCall } from '../cloud-call.ts';
import { waitFor } from '../wait-for.ts';
import { codeOfAzureError, type AzureCodes } from './azure-errors.ts';

/**
 * By the hub's own code, or else by the name of the SDK's error.
 * https://learn.microsoft.com/azure/iot-hub/troubleshoot-error-codes
 */
const CODES: AzureCodes = {
  DeviceAlreadyExists: 'already_exists',
  DeviceNotFound: 'not_found',
  DeviceMaximumQueueDepthExceeded: 'resource_exhausted',
  IotHubNotFound: 'failed_precondition',
  IotHubQuotaExceeded: 'resource_exhausted',
  IotHubSuspended: 'failed_precondition',
  IotHubUnauthorizedAccess: 'permission_denied',
  PreconditionFailed: 'failed_precondition',
  ThrottleBacklogLimitExceeded: 'resource_exhausted',
  ThrottlingException: 'resource_exhausted',
  TooManyDevices: 'resource_exhausted',

  ArgumentError: 'invalid_argument',
  DeviceAlreadyExistsError: 'already_exists',
  DeviceMaximumQueueDepthExceededError: 'resource_exhausted',
  DeviceNotFoundError: 'not_found',
  GatewayTimeoutError: 'unavailable',
  InternalServerError: 'unavailable',
  InvalidEtagError: 'failed_precondition',
  InvalidOperationError: 'failed_precondition',
  IoTHubSuspendedError: 'failed_precondition',
  IotHubNotFoundError: 'failed_precondition',
  IotHubQuotaExceededError: 'resource_exhausted',
  MessageTooLargeError: 'invalid_argument',
  NotConnectedError: 'unavailable',
  PreconditionFailedError: 'failed_precondition',
  ServiceUnavailableError: 'unavailable',
  ThrottlingError: 'resource_exhausted',
  TimeoutError: 'unavailable',
  UnauthorizedError: 'permission_denied',
};

/** What the SDK's error means: by the hub's code where it has one, for the SDK takes every 403 for a hub with too many devices. */
export function codeOfIotHubError(error: unknown): PortErrorCode {
  if (!(error instanceof Error)) return 'internal';
  const { response, amqpError } = error as {
    readonly response?: { readonly statusCode?: number };
    readonly amqpError?: { readonly name?: string };
  };
  const own = CODES[hubCodeOf(error)];
  if (own !== undefined) return own;
  if (response?.statusCode === 403) return 'permission_denied';
  const named = CODES[error.name] ?? CODES[amqpError?.name ?? ''];
  if (named !== undefined) return named;
  if (response !== undefined) return codeOfStatus(response.statusCode, error);
  // Of AMQP without a condition that the SDK knows, it is the connection's.
  return amqpError === undefined ? codeOfAzureError(error) : 'unavailable';
}

/** Makes one call of the SDK, which takes no signal: a call that nobody waits for any more ends by itself. */
export function iotHubCall<Result>(call: CloudCall, make: (stopped: AbortSignal) => Promise<Result>): Promise<Result> {
  return cloudCall(call, codeOfIotHubError, (stopped) => waitFor(make(stopped), stopped));
}

/** Such as `DeviceNotFound`: `{"Message":"ErrorCode:DeviceNotFound;..."}`. */
function hubCodeOf(error: Error): string {
  const { code, responseBody } = error as { readonly code?: unknown; readonly responseBody?: unknown };
  if (typeof code === 'string') return code;
  return (typeof responseBody === 'string' && /ErrorCode:(\w+)/.exec(responseBody)?.[1]) || '';
}
