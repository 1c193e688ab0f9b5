import { describe, expect, it } from '@jest/globals';
import { PortError } from '#core/errors.ts';
import { codeOfKafkaError, codeOfSignIn, isRefusalToWrite, kafkaCall, kafkaError } from './kafka-errors.ts';

const protocol = (apiId: string): Error => Object.assign(new Error(apiId), { code: 'PLT_KFK_PROTOCOL', apiId });
const ofClient = (code: string, options?: ErrorOptions): Error => Object.assign(new Error(code, options), { code });

describe('codeOfKafkaError', () => {
  it.each([
    ['an error of the protocol', protocol('NOT_ENOUGH_REPLICAS'), 'unavailable'],
    ['one of a partition', new AggregateError([protocol('TOPIC_AUTHORIZATION_FAILED')]), 'permission_denied'],
    [
      'one of the last attempt',
      new AggregateError([new AggregateError([protocol('MESSAGE_TOO_LARGE')])]),
      'invalid_argument',
    ],
    [
      'a refused sign-in behind a network error',
      ofClient('X', { cause: ofClient('PLT_KFK_AUTHENTICATION') }),
      'permission_denied',
    ],
    ['a socket', new AggregateError([ofClient('ECONNREFUSED')]), 'unavailable'],
    ['a request without an answer', ofClient('PLT_KFK_TIMEOUT'), 'deadline_exceeded'],
    ['something else', new TypeError('x is undefined'), 'internal'],
    ['no error at all', 'refused', 'internal'],
  ])('knows %s', (_what, error, code) => {
    expect(codeOfKafkaError(error)).toBe(code);
  });
});

describe('codeOfSignIn', () => {
  it.each([
    ['no credentials at all', new Error('Could not load the default credentials.'), 'permission_denied'],
    ['a grant that has expired', Object.assign(new Error('invalid_grant'), { status: 400 }), 'permission_denied'],
    ['an identity that may not', Object.assign(new Error('forbidden'), { statusCode: 403 }), 'permission_denied'],
    ['too many who ask', Object.assign(new Error('slow down'), { statusCode: 429 }), 'unavailable'],
    ['a service that fails', Object.assign(new Error('bad gateway'), { status: 502 }), 'unavailable'],
    ['one that is not there', Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }), 'unavailable'],
  ])('knows %s', (_what, error, code) => {
    expect(codeOfSignIn(error)).toBe(code);
  });
});

describe('kafkaError', () => {
  it('gives back an error of ours that the client wrapped', () => {
    const own = new PortError('failed_precondition', 'set the password');
    expect(kafkaError('publish', ofClient('PLT_KFK_NETWORK', { cause: own }))).toBe(own);
  });

  it('says what was being done and what the broker called it', () => {
    const { message, cause } = kafkaError('publish to tribo.metrics', protocol('NOT_ENOUGH_REPLICAS'));
    expect(message).toBe('publish to tribo.metrics: NOT_ENOUGH_REPLICAS');
    expect(cause).toBeInstanceOf(Error);
  });

  it.each([
    ['requests without an answer', ['Request timed out', 'Request timed out'], 'the broker gave no answer in time'],
    [
      'attempts that ended differently',
      ['connect ECONNREFUSED 127.0.0.1:9092', 'Request timed out'],
      'connect ECONNREFUSED 127.0.0.1:9092, the broker gave no answer in time',
    ],
  ])('says once what each attempt ended with: %s', (_what, attempts, why) => {
    const attempted = (what: string, errors: readonly Error[]) =>
      new AggregateError(errors, `${what} failed ${errors.length} times: ${errors.map(String).join(', ')}`);
    const listed = attempted(
      'listApis',
      attempts.map((message) => ofClient('PLT_KFK_NETWORK', { cause: new Error(message) })),
    );
    const { message } = kafkaError('publish to tribo.metrics', attempted('initProducerId', [listed, listed]));
    expect(message).toBe(`publish to tribo.metrics: ${why}`);
  });
});

describe('kafkaCall', () => {
  it('waits no longer than its time', async () => {
    await expect(kafkaCall('describe', 5, () => new Promise(() => undefined))).rejects.toMatchObject({
      code: 'deadline_exceeded',
      message: 'describe: no answer within 5 ms',
    });
  });
});

describe('isRefusalToWrite', () => {
  const attempts = (...apiIds: readonly string[]) =>
    new AggregateError([
      new AggregateError(apiIds.map((apiId) => new AggregateError([protocol(apiId)], 'Received response with error'))),
    ]);

  it.each([
    ['one attempt', attempts('MESSAGE_TOO_LARGE')],
    ['each of several attempts', attempts('NOT_ENOUGH_REPLICAS', 'NOT_ENOUGH_REPLICAS', 'TOPIC_AUTHORIZATION_FAILED')],
  ])('is true where brokers refused %s', (_what, error) => {
    expect(isRefusalToWrite(error)).toBe(true);
  });

  it.each([
    ['it was written to too few replicas', attempts('NOT_ENOUGH_REPLICAS_AFTER_APPEND')],
    ['the leader may have moved after it was written', attempts('NOT_LEADER_OR_FOLLOWER')],
    ['replicas did not answer in time', attempts('REQUEST_TIMED_OUT')],
    [
      'an attempt before was left without an answer',
      new AggregateError([ofClient('PLT_KFK_TIMEOUT'), attempts('MESSAGE_TOO_LARGE')]),
    ],
    ['an attempt before ended with no error at all', new AggregateError([undefined, attempts('MESSAGE_TOO_LARGE')])],
    ['the connection ended', new AggregateError([ofClient('PLT_KFK_NETWORK')])],
    ['nothing is said of any attempt', new AggregateError([])],
    ['it is something else', new TypeError('x is undefined')],
  ])('is false where %s', (_what, error) => {
    expect(isRefusalToWrite(error)).toBe(false);
  });
});
