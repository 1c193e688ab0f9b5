import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { isRunning, processOf } from './process-mark.ts';

describe('the mark of a process', () => {
  it('is that of the same process for as long as it runs, and of no later one', async () => {
    const child = spawn('sleep', ['60']);
    await once(child, 'spawn');
    const mark = processOf(child.pid ?? 0);
    expect(mark).toEqual({ pid: child.pid, startTicks: expect.any(Number) });
    expect(isRunning(mark!)).toBe(true);
    expect(isRunning({ ...mark!, startTicks: mark!.startTicks! - 1 })).toBe(false);
    expect(isRunning({ pid: mark!.pid })).toBe(true);
    const ended = once(child, 'exit');
    child.kill();
    await ended;
    expect(isRunning(mark!)).toBe(false);
  });

  it.each([0, -1, 1.5, NaN, 999_999_999])('is none for %p', (pid) => {
    expect(processOf(pid)).toBeUndefined();
    expect(isRunning({ pid })).toBe(false);
  });
});
