import { describe, expect, it } from '@jest/globals';
import { codeOfAzureError } from './azure-errors.ts';

/** As the SDK throws it: the service's code, and the status of the answer where there was one. */
function sdkError(code: string | undefined, statusCode?: number): Error {
  return Object.assign(new Error('as the service says'), { name: 'RestError', code, statusCode });
}

describe('an error of the SDK', () => {
  it.each([
    ['AuthenticationFailed', 403, 'permission_denied'],
    ['AuthorizationPermissionMismatch', 403, 'permission_denied'],
    ['ServerBusy', 503, 'resource_exhausted'],
    ['OperationTimedOut', 500, 'unavailable'],
    ['InternalError', 500, 'unavailable'],
    ['REQUEST_SEND_ERROR', undefined, 'unavailable'],
    ['ECONNREFUSED', undefined, 'unavailable'],
    ['SomethingNew', 404, 'not_found'],
    ['SomethingNew', 429, 'resource_exhausted'],
    ['SomethingNew', 400, 'invalid_argument'],
    ['SomethingNew', 503, 'unavailable'],
    [undefined, 403, 'permission_denied'],
    ['SomethingNew', undefined, 'internal'],
  ] as const)('%s with status %s is %s', (code, status, expected) => {
    expect(codeOfAzureError(sdkError(code, status))).toBe(expected);
  });

  it.each([
    ['AuthenticationError', 400],
    ['AuthenticationError', 503],
    ['AuthenticationRequiredError', undefined],
    ['AggregateAuthenticationError', undefined],
    ['CredentialUnavailableError', undefined],
  ])('of credentials, %s with status %s, is permission_denied', (name, statusCode) => {
    const error = Object.assign(new Error('no identity'), { name, ...(statusCode && { statusCode }) });
    expect(codeOfAzureError(error)).toBe('permission_denied');
  });

  it.each([
    ['ServerBusyError', 'resource_exhausted'],
    ['QuotaExceededError', 'resource_exhausted'],
    ['MessagingEntityNotFoundError', 'not_found'],
    ['UnauthorizedError', 'permission_denied'],
    ['ReceiverDisconnectedError', 'failed_precondition'],
    ['MessageTooLargeError', 'invalid_argument'],
    ['DetachForcedError', 'unavailable'],
    ['OperationTimeoutError', 'unavailable'],
    ['ECONNRESET', 'unavailable'],
    [undefined, 'internal'],
  ] as const)('of messaging, %s is %s', (code, expected) => {
    expect(codeOfAzureError(Object.assign(new Error('by AMQP'), { name: 'MessagingError', code }))).toBe(expected);
  });

  it('of a connection that ended before it was made is unavailable', () => {
    expect(codeOfAzureError(new Error('Failed to connect'))).toBe('unavailable');
  });

  it('means what its service says where that differs', () => {
    const codes = { ContainerNotFound: 'failed_precondition' } as const;
    expect(codeOfAzureError(sdkError('ContainerNotFound', 404), codes)).toBe('failed_precondition');
  });
});
