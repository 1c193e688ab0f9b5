import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { PORT_ERROR_CODES, PortError, type PortErrorCode } from '../errors.ts';
import type { EventStream } from '../ports/event-stream.ts';
import { atStart, declareGroup } from './at-start.ts';

const ATTEMPTS = 8;
const MAY_PASS: readonly PortErrorCode[] = ['unavailable', 'resource_exhausted'];

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

/** What becomes of it, the time of its delays having passed. */
async function ended<Result>(call: Promise<Result>): Promise<unknown> {
  const outcome = call.catch((error: unknown) => error);
  await jest.runAllTimersAsync();
  return outcome;
}

describe('a call at the start of a service', () => {
  it.each(PORT_ERROR_CODES.map((code) => [code, MAY_PASS.includes(code) ? ATTEMPTS : 1] as const))(
    'that fails with %s is made %d times in all, and fails with the last error',
    async (code, expected) => {
      let attempts = 0;
      const call = () => Promise.reject(new PortError(code, `attempt ${++attempts}`));
      expect(await ended(atStart(call))).toMatchObject({ code, message: `attempt ${expected}` });
      expect(attempts).toBe(expected);
    },
  );

  it('is given up within ten seconds', async () => {
    const began = performance.now();
    await ended(atStart(() => Promise.reject(new PortError('unavailable', 'away'))));
    expect(performance.now() - began).toBeLessThan(10_000);
  });
});

describe('a group that is declared as its service starts', () => {
  it('is so once the stream is reached', async () => {
    const declared: string[] = [];
    let attempts = 0;
    const stream = {
      declareGroup: async (name: string, group: string) => {
        if (++attempts < ATTEMPTS) throw new PortError('unavailable', 'read ECONNRESET');
        declared.push(`${name} ${group}`);
      },
    } as Partial<EventStream> as EventStream;
    expect(await ended(declareGroup(stream, 'metrics', 'store'))).toBeUndefined();
    expect(declared).toEqual(['metrics store']);
  });
});
