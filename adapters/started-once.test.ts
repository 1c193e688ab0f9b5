import { describe, expect, it } from '@jest/globals';
import { orStopWaiting } from '#core/stop-waiting.ts';
import { StartedOnce } from './started-once.ts';

/** Opens two things, each when told, and closes what it has opened. */
function opening() {
  const open = new Set<string>();
  const first = Promise.withResolvers<undefined>();
  const second = Promise.withResolvers<undefined>();
  const life = new StartedOnce('a gateway', async () => open.clear());
  const begin = async (stopped: AbortSignal) => {
    await first.promise;
    open.add('first');
    await orStopWaiting(second.promise, stopped);
    open.add('second');
  };
  return { open, first, second, life, begin };
}

const NOT_STARTED = { name: 'PortError', code: 'failed_precondition', message: 'a gateway is not started' };

describe('what is started once', () => {
  it('is started between its start and its close', async () => {
    const { open, first, second, life, begin } = opening();
    const starting = life.start(begin, {});
    first.resolve(undefined);
    expect(() => life.check()).toThrow(expect.objectContaining(NOT_STARTED));
    second.resolve(undefined);
    await starting;
    life.check();
    expect(open.size).toBe(2);
    const closed = life.close();
    expect(() => life.check()).toThrow(expect.objectContaining(NOT_STARTED));
    await Promise.all([closed, life.close()]);
    expect(open.size).toBe(0);
  });

  it('leaves nothing open that is closed while it starts, and says so to who started it', async () => {
    const { open, first, life, begin } = opening();
    const starting = life.start(begin, {});
    const closed = life.close();
    first.resolve(undefined);
    await expect(starting).rejects.toMatchObject({ code: 'cancelled' });
    await closed;
    expect(open.size).toBe(0);
  });

  it('leaves nothing open where the start pays no heed to a close', async () => {
    const { open, first, life } = opening();
    const begin = async () => {
      await first.promise;
      open.add('first');
    };
    const starting = life.start(begin, {});
    const closed = life.close();
    first.resolve(undefined);
    await expect(starting).rejects.toMatchObject({ code: 'cancelled' });
    await closed;
    expect(open.size).toBe(0);
  });

  it('closes what a start had opened that failed, or whose caller stopped waiting', async () => {
    for (const fail of ['the start', 'the caller'] as const) {
      const { open, first, second, life, begin } = opening();
      const caller = new AbortController();
      const starting = life.start(begin, { signal: caller.signal });
      first.resolve(undefined);
      if (fail === 'the start') second.reject(new Error('no room'));
      else caller.abort();
      await expect(starting).rejects.toThrow(fail === 'the start' ? 'no room' : 'stopped waiting');
      expect(open.size).toBe(0);
    }
  });

  it.each([
    ['twice', (life: StartedOnce) => life.start(async () => undefined, {})],
    ['after its close', (life: StartedOnce) => life.close()],
  ])('is not started %s', async (_when, before) => {
    const { life, begin } = opening();
    await before(life);
    await expect(life.start(begin, {})).rejects.toMatchObject({
      ...{ code: 'failed_precondition', message: 'a gateway is started once' },
    });
    await life.close();
  });
});
