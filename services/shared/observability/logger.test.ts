import { describe, expect, it } from '@jest/globals';
import { createLogger } from './logger.ts';

function logged(details: object): Record<string, unknown> {
  let written = '';
  const logger = createLogger({ service: 'api-gateway', destination: { write: (line) => (written += line) } });
  logger.warn(details, 'said');
  return JSON.parse(written) as Record<string, unknown>;
}

describe('a log line', () => {
  it.each([
    ['a code at the top', { code: 'of-a-sign-in-link' }],
    ['a code of a body', { body: { code: 'of-a-sign-in-link' } }],
    ['a password', { device: { password: 'hunter2' } }],
    ['a bearer token', { request: { headers: { authorization: 'Bearer abc' } } }],
  ])('hides %s', (_what, details) => {
    expect(JSON.stringify(logged(details))).not.toMatch(/sign-in-link|hunter2|Bearer/);
    expect(JSON.stringify(logged(details))).toContain('[hidden]');
  });

  it.each(['unavailable', 'undecodable_waveform', 'ENOSPC', 'ERR_INVALID_ARG_TYPE'])(
    'shows %s, the code of an error',
    (code) => {
      expect(logged({ err: Object.assign(new Error('no space'), { code }) })).toMatchObject({ err: { code } });
    },
  );
});
