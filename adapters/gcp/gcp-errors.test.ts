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

  const INVALID_GRANT = { status: 400, data: { error: 'invalid_grant', error_description: 'Invalid JWT Signature.' } };
  const PLUGIN = 'Getting metadata from plugin failed with error';

  it.each<[what: string, message: string, error: object, expected: string]>([
    ['without credentials', 'Could not load the default credentials. Browse to ...', {}, 'permission_denied'],
    ['that is refused', 'invalid_grant', { status: 400, code: 400, response: INVALID_GRANT }, 'permission_denied'],
    ['whose endpoint fails', 'failed', { status: 503, response: { data: { error: 'failed' } } }, 'unavailable'],
    ['by a machine without an account', 'Could not refresh access token: 404', { code: 404 }, 'permission_denied'],
    ['that gRPC tells of, refused', `400 undefined: ${PLUGIN}: invalid_grant`, { code: 400 }, 'permission_denied'],
    ['that gRPC tells of, unanswered', `2 UNKNOWN: ${PLUGIN}: read ECONNRESET`, { code: 2 }, 'unavailable'],
  ])('of a sign-in %s is never that of what was asked', (_what, message, error, expected) => {
    expect(codeOfGcpError(Object.assign(new Error(message), error))).toBe(expected);
  });

  it('of a JSON service that refuses an upload as invalid is that of what was asked', () => {
    const response = { status: 400, data: { error: { code: 400, message: 'Invalid argument.' } } };
    expect(codeOfGcpError(Object.assign(new Error('Invalid argument.'), { code: 400, response }))).toBe(
      'invalid_argument',
    );
  });
});
