import { describe, expect, it } from '@jest/globals';
import { PORT_ERROR_CODES, PortError, type PortErrorCode } from '../errors.ts';
import { retry } from './retry.ts';

const FAST = { maxAttempts: 4, firstDelayMs: 1, longestDelayMs: 2 };
const RETRYABLE: readonly PortErrorCode[] = ['unavailable', 'deadline_exceeded', 'resource_exhausted'];

describe('retry', () => {
  it.each(PORT_ERROR_CODES.map((code) => [code, RETRYABLE.includes(code) ? 4 : 1] as const))(
    'after %s makes %d attempts in all, and rejects with the last error',
    async (code, expected) => {
      let attempts = 0;
      const call = () => Promise.reject(new PortError(code, `attempt ${++attempts}`));
      await expect(retry(call, FAST)).rejects.toMatchObject({ code, message: `attempt ${expected}` });
      expect(attempts).toBe(expected);
    },
  );

  it('resolves with the first success', async () => {
    let attempts = 0;
    const call = async () => {
      if (++attempts < 3) throw new PortError('unavailable', 'away');
      return 'there';
    };
    await expect(retry(call, FAST)).resolves.toBe('there');
    expect(attempts).toBe(3);
  });

  it('goes on without a bound until the caller stops waiting, and then says cancelled', async () => {
    const controller = new AbortController();
    let attempts = 0;
    const call = async () => {
      if (++attempts === 10) controller.abort();
      throw new PortError('unavailable', 'away');
    };
    const waiting = retry(call, { ...FAST, maxAttempts: Infinity }, { signal: controller.signal });
    await expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
    expect(attempts).toBe(10);
  });
});
