import { describe, expect, it } from '@jest/globals';
import { awsCall, codeOfAwsError } from './aws-errors.ts';

/** As the SDK throws it: a name, and the status of the answer where there was one. */
function sdkError(name: string, httpStatusCode?: number): Error {
  return Object.assign(new Error('as the service says'), { name, $metadata: { httpStatusCode } });
}

describe('an error of the SDK', () => {
  it.each([
    ['AccessDenied', 403, 'permission_denied'],
    ['ExpiredTokenException', 400, 'permission_denied'],
    ['CredentialsProviderError', undefined, 'permission_denied'],
    ['ProvisionedThroughputExceededException', 400, 'resource_exhausted'],
    ['ThrottlingException', 400, 'resource_exhausted'],
    ['SlowDown', 503, 'resource_exhausted'],
    ['ResourceNotFoundException', 400, 'not_found'],
    ['InternalError', 500, 'unavailable'],
    ['SomethingNew', 500, 'unavailable'],
    ['SomethingNew', 403, 'permission_denied'],
    ['SomethingNew', 404, 'not_found'],
    ['SomethingNew', 429, 'resource_exhausted'],
    ['SomethingNew', 400, 'invalid_argument'],
    ['SomethingNew', 302, 'internal'],
    ['SomethingNew', undefined, 'internal'],
  ] as const)('%s with status %s is %s', (name, status, code) => {
    expect(codeOfAwsError(sdkError(name, status))).toBe(code);
  });

  it('means what its status says where the body was not of the service', () => {
    const page = Object.assign(new Error('XML parse error'), { $response: { statusCode: 502 } });
    expect(codeOfAwsError(page)).toBe('unavailable');
  });

  it('means what its service says where that differs', () => {
    expect(codeOfAwsError(sdkError('ResourceNotFoundException', 400), { ResourceNotFoundException: 'internal' })).toBe(
      'internal',
    );
  });

  it.each(['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'EPIPE'])('of the network, %s, is unavailable', (code) => {
    expect(codeOfAwsError(Object.assign(new Error('connect'), { code }))).toBe('unavailable');
  });
});

describe('a call', () => {
  const call = { what: 'get x', timeoutMs: 20 };
  const never = (signal: AbortSignal) =>
    new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(new Error('aborted')));
    });

  it('says what was being done, and keeps the cause', async () => {
    const cause = sdkError('AccessDenied', 403);
    await expect(awsCall(call, () => Promise.reject(cause))).rejects.toMatchObject({
      ...{ name: 'PortError', code: 'permission_denied', cause },
      message: 'get x: AccessDenied: as the service says',
    });
  });

  it('ends with deadline_exceeded once it takes too long', async () => {
    await expect(awsCall(call, never)).rejects.toMatchObject({
      ...{ code: 'deadline_exceeded', message: 'get x: no answer within 20 ms' },
    });
  });

  it('ends with cancelled once its caller stops waiting, and is not made for one who has', async () => {
    const caller = new AbortController();
    const running = awsCall({ ...call, timeoutMs: 10_000, signal: caller.signal }, never);
    caller.abort();
    await expect(running).rejects.toMatchObject({ code: 'cancelled' });
    await expect(
      awsCall({ ...call, signal: caller.signal }, () => Promise.reject(new Error('it was called'))),
    ).rejects.toMatchObject({ code: 'cancelled' });
  });
});
