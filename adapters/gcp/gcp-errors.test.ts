import { describe, expect, it } from '@jest/globals';
import { codeOfGcpError } from './gcp-errors.ts';

describe('an error of the SDK', () => {
  it.each([
    [403, 'rateLimitExceeded', 'resource_exhausted'],
    [403, 'forbidden', 'permission_denied'],
    [401, 'required', 'permission_denied'],
    [404, 'notFound', 'not_found'],
    [412, 'conditionNotMet', 'already_exists'],
    [412, undefined, 'failed_precondition'],
    [429, undefined, 'resource_exhausted'],
    [503, 'backendError', 'unavailable'],
    [500, undefined, 'unavailable'],
    [400, 'invalid', 'invalid_argument'],
    ['ECONNRESET', undefined, 'unavailable'],
    [undefined, undefined, 'internal'],
  ] as const)('of a JSON service with code %s and reason %s is %s', (code, reason, expected) => {
    const error = Object.assign(new Error('as the service says'), { code, ...(reason && { errors: [{ reason }] }) });
    expect(codeOfGcpError(error)).toBe(expected);
  });

  it.each([
    [3, 'invalid_argument'],
    [4, 'deadline_exceeded'],
    [5, 'not_found'],
    [6, 'already_exists'],
    [7, 'permission_denied'],
    [8, 'resource_exhausted'],
    [9, 'failed_precondition'],
    [10, 'unavailable'],
    [14, 'unavailable'],
    [16, 'permission_denied'],
  ] as const)('of gRPC with code %s is %s', (code, expected) => {
    expect(codeOfGcpError(Object.assign(new Error('as the service says'), { code }))).toBe(expected);
  });

  it('about credentials that are not there is permission_denied', () => {
    expect(codeOfGcpError(new Error('Could not load the default credentials. Browse to ...'))).toBe(
      'permission_denied',
    );
  });
});
