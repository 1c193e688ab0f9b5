import { describe, expect, it } from '@jest/globals';
import { PortError } from '#core/errors.ts';
import { isOfServer, postgresPortError } from './postgres-errors.ts';

const ofServer = (code: string) => Object.assign(new Error('as the server says'), { code, severity: 'ERROR' });
const ofClient = (message: string, code?: string) => Object.assign(new Error(message), code !== undefined && { code });

describe('errors of PostgreSQL', () => {
  it.each([
    ['a unique key that is there', ofServer('23505'), 'already_exists'],
    ['another broken constraint', ofServer('23514'), 'failed_precondition'],
    ['a value of the wrong form', ofServer('22P02'), 'invalid_argument'],
    ['a wrong password', ofServer('28P01'), 'permission_denied'],
    ['a right that the user lacks', ofServer('42501'), 'permission_denied'],
    ['a database that is not there', ofServer('3D000'), 'failed_precondition'],
    ['two that waited for each other', ofServer('40P01'), 'unavailable'],
    ['a serialization failure', ofServer('40001'), 'unavailable'],
    ['a lock that was waited for too long', ofServer('55P03'), 'unavailable'],
    ['a statement that took too long', ofServer('57014'), 'deadline_exceeded'],
    ['a server that ends', ofServer('57P01'), 'unavailable'],
    ['a primary that became a standby', ofServer('25006'), 'unavailable'],
    ['a full disk', ofServer('53100'), 'resource_exhausted'],
    ['too many connections', ofServer('53300'), 'resource_exhausted'],
    ['a damaged page', ofServer('XX001'), 'data_loss'],
    ['a fault in a statement', ofServer('42601'), 'internal'],
    ['nobody there', ofClient('connect ECONNREFUSED', 'ECONNREFUSED'), 'unavailable'],
    ['no such host', ofClient('getaddrinfo EAI_AGAIN db', 'EAI_AGAIN'), 'unavailable'],
    ['a connection that broke', ofClient('Connection terminated unexpectedly'), 'unavailable'],
    ['no answer', ofClient('Query read timeout'), 'deadline_exceeded'],
    ['no free connection', ofClient('timeout exceeded when trying to connect'), 'unavailable'],
    ['an unknown authority', ofClient('self-signed certificate', 'DEPTH_ZERO_SELF_SIGNED_CERT'), 'permission_denied'],
    ['a certificate of another host', ofClient('altnames', 'ERR_TLS_CERT_ALTNAME_INVALID'), 'permission_denied'],
    ['a server without TLS', ofClient('The server does not support SSL connections'), 'failed_precondition'],
    ['anything else', ofClient('a fault of ours'), 'internal'],
    ['no error at all', 'words', 'internal'],
  ])('%s', (_what, error, code) => {
    expect(postgresPortError(error)).toMatchObject({ code, cause: error });
  });

  it('leave a port error as it is', () => {
    const error = new PortError('not_found', 'there is none');
    expect(postgresPortError(error)).toBe(error);
  });

  it('name all that was tried, and the state that the server gave', () => {
    const several = new AggregateError([ofClient('connect ::1'), ofClient('connect 127.0.0.1')], '');
    expect(postgresPortError(Object.assign(several, { code: 'ECONNREFUSED' }))).toMatchObject({
      code: 'unavailable',
      message: 'PostgreSQL: connect ::1; connect 127.0.0.1',
    });
    expect(postgresPortError(ofServer('23505')).message).toBe('PostgreSQL: 23505 as the server says');
  });

  const ofHba = (end: string) =>
    Object.assign(new Error(`no pg_hba.conf entry for host "10.0.0.1", ${end}`), { code: '28000', severity: 'FATAL' });
  it.each([
    ['a certificate of another host', ofClient('altnames', 'ERR_TLS_CERT_ALTNAME_INVALID'), /; set host to /],
    ['an unknown authority', ofClient('no issuer', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'), /; set tlsCaFile to /],
    ['an unknown authority that is shown', ofClient('in chain', 'SELF_SIGNED_CERT_IN_CHAIN'), /; set tlsCaFile to /],
    ['a server without TLS', ofClient('The server does not support SSL connections'), /; switch on ssl /],
    ['a server that wants TLS', ofHba('no encryption'), /; set tls to verify-full/],
    ['a server before PostgreSQL 14 that wants TLS', ofHba('SSL off'), /; set tls to verify-full/],
    ['a user whom the server does not admit by TLS either', ofHba('SSL encryption'), /SSL encryption$/],
    ['a certificate that has expired', ofClient('certificate has expired', 'CERT_HAS_EXPIRED'), /expired$/],
  ])('say what to do about %s, where a setting can mend it', (_what, error, remedy) => {
    expect(postgresPortError(error).message).toMatch(remedy);
  });

  it.each([
    ['a broken constraint', ofServer('23505'), true],
    ['a server that ends', ofServer('57P01'), false],
    ['no answer', ofClient('Query read timeout'), false],
  ])('say whether the connection can be used again: %s', (_what, error, canBe) => {
    expect(isOfServer(error)).toBe(canBe);
  });
});
