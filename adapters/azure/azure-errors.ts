import type { PortErrorCode } from '#core/errors.ts';
import { codeOfStatus } from '../cloud-call.ts';

/** What the SDK's errors mean, by the service's own code, or else by their name; of AMQP, by the code that its errors of messaging have. */
const CODES: Readonly<Record<string, PortErrorCode>> = {
  AggregateAuthenticationError: 'permission_denied',
  AuthenticationError: 'permission_denied',
  AuthenticationRequiredError: 'permission_denied',
  CredentialUnavailableError: 'permission_denied',
  InternalError: 'unavailable',
  OperationTimedOut: 'unavailable',
  ServerBusy: 'resource_exhausted',
  REQUEST_SEND_ERROR: 'unavailable',
  PARSE_ERROR: 'unavailable',
  ArgumentError: 'invalid_argument',
  ArgumentOutOfRangeError: 'invalid_argument',
  ConnectionForcedError: 'unavailable',
  DetachForcedError: 'unavailable',
  InsufficientCreditError: 'unavailable',
  InternalServerError: 'unavailable',
  MessageTooLargeError: 'invalid_argument',
  MessagingEntityDisabledError: 'failed_precondition',
  MessagingEntityNotFoundError: 'not_found',
  OperationCancelledError: 'unavailable',
  OperationTimeoutError: 'unavailable',
  QuotaExceededError: 'resource_exhausted',
  ReceiverDisconnectedError: 'failed_precondition',
  SenderBusyError: 'unavailable',
  SenderNotReadyError: 'unavailable',
  ServerBusyError: 'resource_exhausted',
  ServiceUnavailableError: 'unavailable',
  ServiceCommunicationError: 'not_found',
  UnauthorizedError: 'permission_denied',
};

/** How the SDK's library of AMQP tells of a connection that ended without an error before it was made: that has no code. */
const NOT_CONNECTED = 'Failed to connect';

/** What a service adds to or changes of the table. */
export type AzureCodes = Readonly<Record<string, PortErrorCode>>;

/** The code of an error of the SDK: by the service's own codes, those of all services, the status, and else the network's. */
export function codeOfAzureError(error: unknown, codes: AzureCodes = {}): PortErrorCode {
  if (!(error instanceof Error)) return 'internal';
  const { code = '', statusCode } = error as { readonly code?: string; readonly statusCode?: number };
  const known = codes[code] ?? CODES[code] ?? CODES[error.name];
  return known ?? (error.message === NOT_CONNECTED ? 'unavailable' : codeOfStatus(statusCode, error));
}
