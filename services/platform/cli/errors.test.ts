import { once } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { runCommand, spawnCli } from '#test/support/platform-process.ts';

const TIMEOUT_MS = 120_000;

describe('a command that is given in a wrong way', () => {
  it.each([
    { given: ['nonsense'], says: /^unknown command 'nonsense'/ },
    { given: ['alarm', 'list', '--nonsense'], says: /^unknown option '--nonsense'/ },
    { given: ['device', 'add'], says: /^missing required argument 'machine'/ },
    {
      given: ['device', 'command', 'press-7', '{}', '--expires-in', 'soon'],
      says: /--expires-in <seconds>.*whole number of at least 1/,
    },
    {
      given: ['alarm', 'list', '--state', 'normal,broken'],
      says: /--state <states>.*There is no broken; allowed are normal, unack/,
    },
    { given: ['alarm', 'list', '--limit', 'many'], says: /--limit <count>.*whole number of at least 1/ },
    { given: ['alarm', 'acknowledge', 'a-1'], says: /^required option '--comment <text>' not specified/ },
    { given: ['alarm', 'acknowledge', 'a-1', '--comment', ' '], says: /--comment <text>.*must say something/ },
    { given: ['alarm', 'shelve', 'a-1', '--minutes', 'long'], says: /--minutes <minutes>.*above 0 and at most 10080/ },
    {
      given: ['machine', 'note', 'pump-1', 'repaired'],
      says: /'repaired' is invalid.*Allowed choices are repair, bear/,
    },
    {
      given: ['device', 'adopt', 'akron', 'x', '--class', 'pumps'],
      says: /'pumps' is invalid.*Allowed choices are pump/,
    },
    { given: ['model', 'promote', 'bearing', 'newest'], says: /'newest' is invalid.*whole number/ },
    { given: ['token', 'create', 'x', '--role', 'boss'], says: /There is no boss; allowed are viewer/ },
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

describe('a command whose reader has seen enough', () => {
  it(
    'ends without a word',
    async () => {
      const command = spawnCli(['--help']);
      command.stdout?.destroy();
      let said = '';
      command.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text));
      const [code] = (await once(command, 'close')) as [number | null];
      expect({ code, said }).toEqual({ code: 0, said: '' });
    },
    TIMEOUT_MS,
  );
});
