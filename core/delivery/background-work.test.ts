import { describe, expect, it, jest } from '@jest/globals';
import { BackgroundWork } from './background-work.ts';

describe('background work', () => {
  it('is begun again after what ended it was told', async () => {
    jest.useFakeTimers();
    try {
      const told: unknown[] = [];
      let begun = 0;
      const work: BackgroundWork = new BackgroundWork(
        async () => {
          begun++;
          if (begun === 1) {
            // As a log does that goes on growing while it cannot be read.
            work.sleeper.wake();
            throw new Error('gone');
          }
          while (!work.isClosing) await work.sleeper.sleep(Infinity);
        },
        (error) => told.push(error),
      );
      await jest.advanceTimersByTimeAsync(999);
      expect({ begun, told }).toEqual({ begun: 1, told: [new Error('gone')] });
      await jest.advanceTimersByTimeAsync(1);
      expect(begun).toBe(2);
      await work.close();
    } finally {
      jest.useRealTimers();
    }
  });

  it('closes once it has ended, also where it failed just now', async () => {
    let hasEnded = false;
    const work: BackgroundWork = new BackgroundWork(
      async () => {
        await work.sleeper.sleep(Infinity);
        hasEnded = true;
        throw new Error('while it was closed');
      },
      () => undefined,
    );
    await new Promise((resolve) => setImmediate(resolve));
    await work.close();
    expect({ hasEnded, isClosing: work.isClosing }).toEqual({ hasEnded: true, isClosing: true });
  });

  it('does not begin where it is closed at once', async () => {
    let begun = 0;
    const work = new BackgroundWork(
      async () => {
        begun++;
      },
      () => undefined,
    );
    await work.close();
    expect(begun).toBe(0);
  });
});
