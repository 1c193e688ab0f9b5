import { describe, expect, it } from '@jest/globals';
import { codeOfMqttError, ConnectionLost } from './mqtt-errors.ts';

const withCode = (code: unknown, message = 'x') => Object.assign(new Error(message), { code });

describe('the code of an error of the client', () => {
  it.each([
    ['a refused user', withCode(0x86), 'permission_denied'],
    ['a topic that is not allowed', withCode(0x87), 'permission_denied'],
    ['a broker without shared subscriptions', withCode(0x9e), 'failed_precondition'],
    ['a session that another client took', withCode(0x8e), 'failed_precondition'],
    ['a full queue', withCode(0x97), 'resource_exhausted'],
    ['a broker that is busy', withCode(0x89), 'unavailable'],
    ['a reason that says nothing', withCode(0x80), 'internal'],
    ['a broker that is not there', withCode('ECONNREFUSED'), 'unavailable'],
    ['a reset', withCode('ECONNRESET'), 'unavailable'],
    ["the broker's certificate of an unknown authority", withCode('SELF_SIGNED_CERT_IN_CHAIN'), 'permission_denied'],
    ["the broker's certificate for another host", withCode('ERR_TLS_CERT_ALTNAME_INVALID'), 'permission_denied'],
    ["the broker's expired certificate", withCode('CERT_HAS_EXPIRED'), 'permission_denied'],
    ['the own expired certificate', withCode('ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED'), 'permission_denied'],
    ['a connection that ended without a word', new ConnectionLost('lost'), 'unavailable'],
    ["the client's own word for that", new Error('client disconnecting'), 'unavailable'],
    ['an error of ours', new TypeError('x is undefined'), 'internal'],
    ['no error at all', 'x', 'internal'],
  ])('%s', (_what, error, code) => {
    expect(codeOfMqttError(error)).toBe(code);
  });
});
