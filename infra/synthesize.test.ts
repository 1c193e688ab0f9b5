import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { environmentSchema, type Environment } from '../core/decision/environment.ts';
import { readDecisions } from '../services/shared/environments/decisions.ts';
import { loadEnvironment, loadPrices } from '../services/shared/environments/environment-files.ts';
import { buildStacks } from './synthesize.ts';

const root = join(import.meta.dirname, '..');
const environments = join(root, 'environments');
const grounds = {
  decisions: readDecisions(join(root, 'docs/cloud_decision.md')),
  prices: loadPrices(join(environments, 'prices')),
};
const akron = loadEnvironment(join(environments, 'akron.prod.yaml'));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tribo-synth-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

describe('stacks of an environment', () => {
  it('are refused without a decision of the site', () => {
    expect(buildStacks(akron, 'aws', { ...grounds, decisions: '' }, folder)).toEqual({
      refused: [
        expect.stringContaining('akron.prod.yaml:1: there is no decision of akron: run npx tribo decide akron --write'),
      ],
      isError: true,
    });
  });

  it('are refused above the budget, by the line of it', () => {
    const result = buildStacks(
      withValues({ budget: { ...akron.environment.budget, usdPerMonth: 100 } }),
      'aws',
      grounds,
      folder,
    );
    expect(result).toMatchObject({ isError: true, refused: [expect.stringMatching(/akron\.prod\.yaml:\d+: budget/)] });
  });

  it.each([[{ modelEndpoint: 'serverless' as const }, 'switches.modelEndpoint: serverless']])(
    'are refused where %j asks for what is not made yet',
    (switches, what) => {
      const described = withValues({
        switches: { ...akron.environment.switches, ...switches },
        budget: { ...akron.environment.budget, usdPerMonth: 100_000 },
      });
      const { refused, isError } = buildStacks(described, 'azure', grounds, folder) as {
        readonly refused: readonly string[];
        readonly isError: boolean;
      };
      expect(refused).toContainEqual(expect.stringContaining(`${what} is not made at Azure yet`));
      expect(isError).toBe(false);
    },
  );

  it('that its own cloud does not make are an error, so that nobody deploys a site without them', () => {
    const described = withValues({
      provider: 'azure',
      switches: { ...akron.environment.switches, modelEndpoint: 'serverless' },
      budget: { ...akron.environment.budget, usdPerMonth: 100_000 },
    });
    expect(buildStacks(described, 'azure', grounds, folder)).toEqual({
      refused: [
        expect.stringMatching(/akron\.prod\.yaml:\d+: switches\.modelEndpoint: serverless is not made at Azure yet$/),
      ],
      isError: true,
    });
  });

  it('are of a cloud in which the environment has a region', () => {
    const bergen = loadEnvironment(join(environments, 'bergen.prod.yaml'));
    expect(buildStacks(bergen, 'aws', grounds, folder)).toMatchObject({
      refused: [expect.stringContaining('names no region of AWS')],
    });
  });

  it('are those of another cloud with no other edit than its provider', () => {
    const result = buildStacks(withValues({ provider: 'gcp' }), 'gcp', grounds, folder);
    if ('refused' in result) throw new Error(result.refused.join('\n'));
    result.app.synth();
    const texts = ['foundation', 'data', 'platform'].map((stack) =>
      readFileSync(join(folder, 'stacks', stack, 'cdk.tf.json'), 'utf8'),
    );
    expect(texts.join('')).not.toContain('aws_');
    expect(result.stacks.ports.provider).toBe('gcp');
  });

  it.each([
    ['aws', 'https://cognito-idp.us-east-2.amazonaws.com/us-east-2_akron', undefined],
    ['gcp', 'https://cognito-idp.us-east-2.amazonaws.com/us-east-2_akron', 'is a pool of Cognito'],
    ['azure', 'https://securetoken.google.com/akron', 'is a pool of Identity Platform'],
    ['gcp', 'https://id.akron.example', undefined],
  ] as const)(
    'at %s with people of %s are made, and it is told where no stack makes their pool',
    (provider, issuer, told) => {
      const identity = { issuer, audience: 'tribo' };
      const budget = { ...akron.environment.budget, usdPerMonth: 100_000 };
      const result = buildStacks(withValues({ provider, identity, budget }), provider, grounds, folder);
      if ('refused' in result) throw new Error(result.refused.join('\n'));
      const line = expect.stringMatching(new RegExp(`akron\\.prod\\.yaml:\\d+: identity\\.issuer ${told}`));
      expect(result.remarks).toEqual(told === undefined ? [] : [line]);
    },
  );

  it('keep their state in the bucket that is named, locked, one object a stack', () => {
    process.env['TRIBO_STATE_BUCKET'] = 'akron-state';
    try {
      const result = buildStacks(akron, 'aws', grounds, folder);
      if ('refused' in result) throw new Error(result.refused.join('\n'));
      result.app.synth();
      const data = JSON.parse(readFileSync(join(folder, 'stacks/data/cdk.tf.json'), 'utf8')) as {
        readonly terraform: unknown;
        readonly data: { readonly terraform_remote_state: Readonly<Record<string, unknown>> };
      };
      expect(data.terraform).toMatchObject({
        backend: {
          s3: {
            bucket: 'akron-state',
            key: 'akron.prod/aws/data.tfstate',
            region: 'us-east-2',
            encrypt: true,
            use_lockfile: true,
          },
        },
      });
      expect(Object.values(data.data.terraform_remote_state)).toEqual([
        expect.objectContaining({
          backend: 's3',
          config: expect.objectContaining({ bucket: 'akron-state', key: 'akron.prod/aws/foundation.tfstate' }),
        }),
      ]);
    } finally {
      delete process.env['TRIBO_STATE_BUCKET'];
    }
  });

  it('name no folder of the machine that made them, and no secret', () => {
    const result = buildStacks(akron, 'aws', grounds, folder);
    if ('refused' in result) throw new Error(result.refused.join('\n'));
    result.app.synth();
    for (const stack of ['foundation', 'data', 'platform']) {
      const text = readFileSync(join(folder, 'stacks', stack, 'cdk.tf.json'), 'utf8');
      expect(text).not.toContain(root);
      expect(text).not.toContain(folder);
      expect(text).not.toMatch(/"(password|secret_string|access_key|secret_key)"/);
    }
  });
});

function withValues(values: Partial<Environment>) {
  return { ...akron, environment: environmentSchema.parse({ ...akron.environment, ...values }) };
}
