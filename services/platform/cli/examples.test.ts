import { describe, expect, it } from '@jest/globals';
import { runCommand } from '#test/support/platform-process.ts';
import { EXAMPLES } from './examples.ts';

const TIMEOUT_MS = 120_000;

describe('examples', () => {
  it(
    'are there for every command, and for no other',
    async () => {
      const { stdout } = await runCommand(['--help']);
      const listed = stdout.slice(stdout.indexOf('Commands:')).matchAll(/^ {2}([a-z]+) /gm);
      const commands = [...listed].map(([, name]) => name).filter((name) => name !== 'help');
      expect(commands.toSorted()).toEqual(Object.keys(EXAMPLES).toSorted());
    },
    TIMEOUT_MS,
  );

  it('begin with their command', () => {
    for (const [name, lines] of Object.entries(EXAMPLES)) {
      for (const line of lines) expect(line).toMatch(new RegExp(`^tribo ${name}( |$)`));
    }
  });
});
