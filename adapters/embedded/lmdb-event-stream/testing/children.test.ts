import { afterEach, describe, expect, it } from '@jest/globals';
import { Children } from './children.ts';

const children = new Children();

afterEach(() => children.killAll());

describe('waiting while processes run', () => {
  it('fails at once, with what it said, when one of them ends though nobody killed it', async () => {
    children.start('publisher.ts', '/dev/null/no-folder', 'intake', '/dev/null/no-list');
    await expect(children.until('something is acknowledged', () => false)).rejects.toThrow(
      /^process \d+ \(publisher\.ts intake .*\) has ended with 1, and said: (.|\n)*ENOTDIR(.|\n)*, while the test waited until something is acknowledged$/,
    );
  });
});
