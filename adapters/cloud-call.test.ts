import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { cloudCall } from './cloud-call.ts';

const what = 'get x of bucket akron';
const codeOf = () => 'internal' as const;
const never = () => new Promise<never>(() => undefined);
/** Waits for the signal, and then does what it has to. */
const heeding =
  (work: () => Promise<unknown>) =>
  async (signal: AbortSignal): Promise<never> => {
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    await work();
    throw signal.reason;
  };

describe('a call to a service of a cloud', () => {
  it('that heeds no signal is left behind a second after its time', async () => {
    const startedMs = performance.now();
    await expect(cloudCall({ what, timeoutMs: 200 }, codeOf, never)).rejects.toMatchObject({
      code: 'deadline_exceeded',
      message: `${what}: no answer within 200 ms`,
    });
    expect(performance.now() - startedMs).toBeGreaterThan(1_100);
  });

  it('that heeds no signal is left behind a second after its caller stopped waiting', async () => {
    const caller = new AbortController();
    const calling = cloudCall({ what, timeoutMs: 60_000, signal: caller.signal }, codeOf, never);
    caller.abort();
    await expect(calling).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('is waited for while it gives up what it had begun', async () => {
    const caller = new AbortController();
    let isGivenUp = false;
    const call = heeding(async () => {
      await sleep(100);
      isGivenUp = true;
    });
    const calling = cloudCall({ what, timeoutMs: 60_000, signal: caller.signal }, codeOf, call);
    caller.abort();
    await expect(calling).rejects.toMatchObject({ code: 'cancelled' });
    expect(isGivenUp).toBe(true);
  });

  it('that has its answer although it was told to end has it', async () => {
    const caller = new AbortController();
    const calling = cloudCall({ what, timeoutMs: 60_000, signal: caller.signal }, codeOf, () => sleep(100, 'there'));
    caller.abort();
    await expect(calling).resolves.toBe('there');
  });
});
