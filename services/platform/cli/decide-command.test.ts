import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { runCommand } from '#test/support/platform-process.ts';
import { EXIT_CODES } from './output.ts';

const TIMEOUT_MS = 120_000;
const SCREEN_LINES = 40;
const SCREEN_COLUMNS = 120;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tribo-decide-'));
  cpSync('environments', join(folder, 'environments'), { recursive: true });
  cpSync('docs/cloud_decision.md', join(folder, 'decisions.md'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const decide = (...given: readonly string[]) =>
  runCommand([
    'decide',
    ...given,
    '--environments',
    join(folder, 'environments'),
    '--document',
    join(folder, 'decisions.md'),
  ]);
const read = (name: string) => readFileSync(join(folder, name), 'utf8');
const change = (name: string, from: string, to: string) => {
  expect(read(name)).toContain(from);
  writeFileSync(join(folder, name), read(name).replace(from, to));
};

describe('tribo decide', () => {
  it.each([
    ['akron', 'aws', 'aws', 'akron.dev 323.35 of 450.00; akron.prod 1057.23 of 1200.00'],
    ['atlas', 'aws', 'aws', 'atlas.prod 5305.75 of 7000.00'],
    ['bergen', 'azure', 'azure', 'bergen.dev 425.80 of 450.00; bergen.prod 1446.41 of 1500.00'],
    // Ten times as many machines want several brokers, which the stacks of Google Cloud do not make.
    ['gent', 'gcp', 'azure', 'gent.dev 443.74 of 500.00; gent.prod 798.88 of 1500.00'],
  ])(
    'explains %s on one screen',
    async (site, choice, atTenTimes, budgets) => {
      const { code, stdout } = await decide(site);
      expect(code).toBe(0);
      const shown = stdout.split('\n').flatMap((line) => line.match(new RegExp(`.{1,${SCREEN_COLUMNS}}`, 'g')) ?? ['']);
      expect(shown.length).toBeLessThanOrEqual(SCREEN_LINES);
      for (const part of ['USD for 1,000 readings', 'USD a machine', 'score', `Choice: ${choice}.`])
        expect(stdout).toContain(part);
      expect(stdout).toMatch(new RegExp(`^USD, 10 times the machines +\\d+\\.\\d\\d .* ${atTenTimes}$`, 'm'));
      expect(stdout).toMatch(/^services +[\d.]+ \([\d.]+ vCPU, \d+ GB\)/m);
      expect(stdout).toMatch(/^Prices, USD of 2026-11: us-east-1.* \(\d+ of \d+ unverified or estimated\)/m);
      expect(stdout).toContain(`Budgets, USD a month: ${budgets}.`);
    },
    TIMEOUT_MS,
  );

  it(
    'says by file and line what is wrong, and changes nothing',
    async () => {
      change('environments/gent.dev.yaml', 'machines: 5', 'machines: none');
      const before = read('decisions.md');
      const { code, stderr } = await decide('akron', '--write');
      change('environments/gent.dev.yaml', 'machines: none', 'machines: 5');
      expect(code).toBe(EXIT_CODES.configuration);
      expect(stderr).toMatch(/gent\.dev\.yaml:12: workload\.machines must be a whole number, 1\.\.100000, got "none"/);
      expect(read('decisions.md')).toBe(before);
    },
    TIMEOUT_MS,
  );

  it.each([
    {
      reason: 'a site that is not there',
      given: ['dayton'],
      code: EXIT_CODES.configuration,
      message: /there is no site dayton; there are akron, atlas, bergen, gent/,
    },
    {
      reason: 'a day that is none',
      given: ['akron', '--date', '2026-02-30'],
      code: EXIT_CODES.usage,
      message: /It must be a day, such as 2026-11-22/,
    },
  ])(
    'refuses $reason',
    async ({ given, code, message }) => {
      const refused = await decide(...given);
      expect(refused.code).toBe(code);
      expect(refused.stderr).toMatch(message);
    },
    TIMEOUT_MS,
  );

  it(
    'writes nothing where an environment would be refused at the chosen cloud',
    async () => {
      change('environments/akron.dev.yaml', 'azure: eastus2, gcp: us-east5', 'azure: eastus2');
      change('environments/akron.prod.yaml', 'aws: 5, azure: 1, gcp: 2', 'aws: 0, azure: 0, gcp: 5');
      change('environments/akron.prod.yaml', 'identity: aws', 'identity: gcp');
      const files = ['environments/akron.dev.yaml', 'environments/akron.prod.yaml', 'decisions.md'];
      const before = files.map(read);
      const { code, stderr } = await decide('akron', '--write');
      expect(code).toBe(EXIT_CODES.configuration);
      const problem = /akron\.dev\.yaml:8: with provider gcp, regions\[0\] has no gcp, where it runs/;
      expect(stderr).toMatch(problem);
      const looked = await decide('akron');
      expect(looked.code).toBe(0);
      expect(looked.stdout).toMatch(problem);
      expect(files.map(read)).toEqual(before);
      change('environments/akron.prod.yaml', 'identity: gcp', 'identity: aws');
      change('environments/akron.prod.yaml', 'aws: 0, azure: 0, gcp: 5', 'aws: 5, azure: 1, gcp: 2');
      change('environments/akron.dev.yaml', 'azure: eastus2', 'azure: eastus2, gcp: us-east5');
    },
    TIMEOUT_MS,
  );

  it(
    'writes the section and the provider of every environment of the site, and nothing else; the same decision keeps its day',
    async () => {
      const [before, gent] = [read('decisions.md'), read('environments/gent.prod.yaml')];
      const unchanged = await decide('akron', '--write', '--date', '2027-01-02', '--json');
      expect(JSON.parse(unchanged.stdout)).toMatchObject({ decision: { choice: 'aws' }, remarks: [], written: [] });
      expect(read('decisions.md')).toBe(before);

      change('environments/akron.prod.yaml', 'identity: aws', 'identity: gcp');
      change(
        'environments/akron.prod.yaml',
        'experience: { aws: 5, azure: 1, gcp: 2 }',
        'experience: { aws: 1, azure: 1, gcp: 5 }',
      );
      const { stdout } = await decide('akron', '--write', '--date', '2027-01-03', '--json');
      const written = ['akron.dev.yaml', 'akron.prod.yaml'].map((name) => join(folder, 'environments', name));
      expect(JSON.parse(stdout)).toMatchObject({
        decision: { choice: 'gcp' },
        remarks: ['dev', 'prod'].map((stage) =>
          expect.stringMatching(
            new RegExp(`akron\\.${stage}\\.yaml:\\d+: with provider gcp, identity\\.issuer is a pool of Cognito`),
          ),
        ),
        written: [...written, join(folder, 'decisions.md')],
      });
      for (const stage of ['dev', 'prod']) expect(read(`environments/akron.${stage}.yaml`)).toMatch(/^provider: gcp$/m);
      expect(read('decisions.md')).toContain('| provider | gcp |\n| date | 2027-01-03 |');
      expect(read('environments/gent.prod.yaml')).toBe(gent);
      const others = (text: string) => text.slice(text.indexOf('## bergen'));
      expect(others(read('decisions.md'))).toBe(others(before));
    },
    TIMEOUT_MS,
  );

  it(
    'refuses a site that no cloud will do for, with the reasons and what to change',
    async () => {
      change('environments/bergen.prod.yaml', 'messageIntervalS: 10', 'messageIntervalS: 0.01');
      change('environments/bergen.prod.yaml', 'machines: 60', 'machines: 60000');
      const { code, stderr } = await decide('bergen');
      expect(code).toBe(EXIT_CODES.data);
      expect(stderr).toMatch(/no cloud will do for bergen: AWS has no region in NO; .*throughput units at the most/);
      expect(stderr).toContain('divide it into several sites');
    },
    TIMEOUT_MS,
  );
});
