import { describe, expect, it } from '@jest/globals';
import { codeOf } from '#core/errors.ts';
import { HeldClock } from '#test/support/held-clock.ts';
import { MemoryRefusals } from './memory-refusals.ts';

const MINUTE_MS = 60_000;

/** A runtime that has memory for fewer than `room` vectors, and counts what it tries. */
function runtime() {
  const clock = new HeldClock(0);
  const refusals = new MemoryRefusals(clock);
  const world = {
    clock,
    room: 0,
    tries: 0,
    ask: (vectors = 1, sha256 = 'a'): Promise<string> => {
      const run = async () => {
        world.tries += 1;
        if (vectors < world.room) return 'scored';
        throw new RangeError('Array buffer allocation failed');
      };
      return refusals.attempt({ sha256, what: 'run this', vectors }, run).catch(codeOf);
    },
    askTimes: async (times: number) => {
      const answers: string[] = [];
      for (let n = 0; n < times; n++) answers.push(await world.ask());
      return answers;
    },
  };
  return world;
}

describe('refusals for want of memory', () => {
  it('are of the moment at first, and the third in succession is of the model, which is then not tried', async () => {
    const world = runtime();
    expect(await world.askTimes(2)).toEqual(['resource_exhausted', 'resource_exhausted']);
    expect(await world.askTimes(9)).toEqual(Array(9).fill('failed_precondition'));
    expect(world.tries).toBe(3);
  });

  it('are forgotten once there is memory', async () => {
    const world = runtime();
    await world.askTimes(2);
    world.room = 2;
    expect(await world.ask()).toBe('scored');
    world.room = 0;
    expect(await world.ask()).toBe('resource_exhausted');
  });

  it('leave a model its rest, each twice as long up to an hour, after each of which it has one try', async () => {
    const world = runtime();
    await world.askTimes(3);
    for (const restMs of [1, 2, 4, 8, 16, 32, 60, 60].map((minutes) => minutes * MINUTE_MS)) {
      const { tries } = world;
      world.clock.advance(restMs - 1);
      expect(await world.ask()).toBe('failed_precondition');
      expect(world.tries).toBe(tries);
      world.clock.advance(1);
      expect(await world.askTimes(2)).toEqual(['failed_precondition', 'failed_precondition']);
      expect(world.tries).toBe(tries + 1);
    }
    world.room = 2;
    world.clock.advance(60 * MINUTE_MS);
    expect(await world.askTimes(2)).toEqual(['scored', 'scored']);
  });

  it('leave other models alone, and fewer vectors than were refused', async () => {
    const world = runtime();
    world.room = 10;
    for (let n = 0; n < 3; n++) await world.ask(10);
    expect(await world.ask(9)).toBe('scored');
    expect(await world.ask(10)).toBe('failed_precondition');
    expect(await world.ask(11)).toBe('failed_precondition');
    expect(await world.ask(10, 'b')).toBe('resource_exhausted');
  });

  it('count as one where they were under way together', async () => {
    const world = runtime();
    expect(await Promise.all(Array.from({ length: 8 }, () => world.ask()))).toEqual(
      Array(8).fill('resource_exhausted'),
    );
    expect(await world.askTimes(2)).toEqual(['resource_exhausted', 'failed_precondition']);
  });

  it('are remembered of a bounded number of models', async () => {
    const world = runtime();
    await world.askTimes(3);
    for (let n = 0; n < 1023; n++) await world.ask(1, String(n));
    expect(await world.ask()).toBe('failed_precondition');
    await world.ask(1, 'one more');
    expect(await world.ask()).toBe('resource_exhausted');
  });

  it('are no other failures', async () => {
    const refusals = new MemoryRefusals(new HeldClock(0));
    const fail = () =>
      refusals.attempt({ sha256: 'a', what: 'run this', vectors: 1 }, () => Promise.reject(new Error('x')));
    for (let n = 0; n < 4; n++) await expect(fail()).rejects.toThrow(/^x$/);
  });
});
