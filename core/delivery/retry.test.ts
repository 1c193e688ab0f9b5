import { afterEach, describe, expect, it, jest } from '@jest/globals';
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

  it.each(['succeeds', 'fails'] as const)(
    'is no failure to tell of when the caller stops waiting while a call %s',
    async (how) => {
      const controller = new AbortController();
      const told: unknown[] = [];
      const call = async () => {
        controller.abort();
        if (how === 'fails') throw new PortError('unavailable', 'away');
      };
      const options = { signal: controller.signal, onRetry: (error: unknown) => told.push(error) };
      await expect(retry(call, FAST, options)).rejects.toMatchObject({ code: 'cancelled' });
      expect(told).toEqual([]);
    },
  );
});

describe('the delays between attempts', () => {
  afterEach(() => {
    jest.restoreAllMocks();
    jest.useRealTimers();
  });

  /** Of a call that never succeeds, with this for chance. */
  async function delaysWith(random: number): Promise<readonly number[]> {
    jest.useFakeTimers();
    jest.spyOn(Math, 'random').mockReturnValue(random);
    const startedMs: number[] = [];
    const call = () => {
      startedMs.push(performance.now());
      return Promise.reject(new PortError('unavailable', 'away'));
    };
    const ended = retry(call, { maxAttempts: 7, firstDelayMs: 20, longestDelayMs: 500 }).catch(
      (error: unknown) => error,
    );
    await jest.runAllTimersAsync();
    expect(await ended).toMatchObject({ code: 'unavailable' });
    return startedMs.slice(1).map((atMs, index) => Math.round(atMs - startedMs[index]!));
  }

  it('double from the first to the longest', async () => {
    expect(await delaysWith(0)).toEqual([20, 40, 80, 160, 320, 500]);
  });

  it('are drawn by chance up to twice as long, so that callers that failed together do not come back together', async () => {
    expect(await delaysWith(0.5)).toEqual([30, 60, 120, 240, 480, 500]);
  });
});
