import { describe, expect, it } from '@jest/globals';
import { runCommand } from '#test/support/platform-process.ts';

const TIMEOUT_MS = 60_000;

describe('a command that is given in a wrong way', () => {
  it.each([
    { given: ['nonsense'], says: /^unknown command 'nonsense'/ },
    { given: ['alarm', 'list', '--nonsense'], says: /^unknown option '--nonsense'/ },
    { given: ['device', 'add'], says: /^missing required argument 'machine'/ },
    { given: ['device'], says: /^no command was given/ },
  ])(
    '$given ends with 64 and, with --json, one JSON object',
    async ({ given, says }) => {
      const { code, stdout, stderr } = await runCommand([...given, '--json']);
      expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
      expect(JSON.parse(stderr)).toEqual({
        error: expect.stringMatching(says),
        kind: 'usage',
        remedy: 'tribo --help shows what there is',
      });
    },
    TIMEOUT_MS,
  );

  it(
    'is told so in words without --json',
    async () => {
      const { code, stderr } = await runCommand(['nonsense']);
      expect({ code, stderr }).toEqual({
        code: 64,
        stderr: "tribo: unknown command 'nonsense'\n  tribo --help shows what there is\n",
      });
    },
    TIMEOUT_MS,
  );

  it(
    'is shown what there is where it names no command',
    async () => {
      const { code, stderr } = await runCommand([]);
      expect(code).toBe(64);
      expect(stderr).toContain('Usage: tribo');
      expect(stderr).toContain('73 it is there already');
    },
    TIMEOUT_MS,
  );
});
