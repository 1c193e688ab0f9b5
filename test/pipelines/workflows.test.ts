import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { demandOf } from '#core/decision/demand.ts';
import { sampleEnvironment } from '#test/support/sample-environment.ts';

const project = join(import.meta.dirname, '../..');
const STACKS = ['foundation', 'data', 'platform', 'services'];
const SERVICES = demandOf(sampleEnvironment()).services.map(({ service }) => service);

interface Step {
  readonly name?: string;
  readonly if?: string;
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, unknown>>;
}

interface Job {
  readonly uses?: string;
  readonly if?: string;
  readonly needs?: string | readonly string[];
  readonly environment?: string;
  readonly 'timeout-minutes'?: number;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly strategy?: { readonly matrix: Readonly<Record<string, readonly string[]>> };
  readonly steps?: readonly Step[];
}

interface Workflow {
  readonly on: Readonly<Record<string, unknown>>;
  readonly permissions?: unknown;
  readonly jobs: Readonly<Record<string, Job>>;
}

const read = (path: string): string => readFileSync(join(project, '.github', path), 'utf8');
const names = readdirSync(join(project, '.github/workflows'));
const workflows = names.map((name) => ({ name, workflow: parse(read(`workflows/${name}`)) as Workflow }));
const jobs = workflows.flatMap(({ name, workflow }) =>
  Object.entries(workflow.jobs).map(([id, job]) => ({ at: `${name}: ${id}`, job })),
);
const actions = readdirSync(join(project, '.github/actions')).map((name) => `actions/${name}/action.yml`);
const texts = [...names.map((name) => `workflows/${name}`), ...actions].map((path) => ({ path, text: read(path) }));
const steps = [
  ...jobs.flatMap(({ at, job }) => (job.steps ?? []).map((step) => ({ at, step }))),
  ...actions.flatMap((path) =>
    (parse(read(path)) as { readonly runs: { readonly steps: readonly Step[] } }).runs.steps.map((step) => ({
      at: path,
      step,
    })),
  ),
];

describe('a workflow', () => {
  it.each(texts)('of $path takes actions of others by commit, and names the version', ({ text }) => {
    const used = [...text.matchAll(/uses: (?!\.\/)(.*)/g)].map(([, action]) => action);
    for (const action of used) expect(action).toMatch(/^[\w.-]+\/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  });

  it('takes one action at one commit wherever it is used', () => {
    const commits = new Map<string, Set<string>>();
    for (const [, action = '', commit = ''] of texts.flatMap(({ text }) => [
      ...text.matchAll(/uses: ([\w./-]+)@(\w+)/g),
    ]))
      commits.set(action, (commits.get(action) ?? new Set()).add(commit));
    expect([...commits].filter(([, of]) => of.size > 1)).toEqual([]);
    expect(commits.size).toBeGreaterThan(0);
  });

  it.each(workflows)('$name may read the code and nothing else, unless a job says more', ({ workflow }) => {
    expect(workflow.permissions).toEqual({ contents: 'read' });
  });

  it('has these jobs that may do more, and no other', () => {
    const more = jobs.flatMap(({ at, job: { permissions = {} } }) => {
      const { contents, ...others } = permissions;
      expect([undefined, 'read']).toContain(contents);
      return Object.keys(others).length > 0 ? [[at, others]] : [];
    });
    const deploys = { packages: 'write', 'id-token': 'write' };
    const looks = { packages: 'read', 'id-token': 'write' };
    expect(Object.fromEntries(more)).toEqual({
      'images.yml: build': { ...deploys, attestations: 'write' },
      'deploy.yml: images': { ...deploys, attestations: 'write' },
      'deploy.yml: dev': deploys,
      'deploy.yml: staging': deploys,
      'deploy.yml: prod': deploys,
      'deploy-stage.yml: deploy': deploys,
      'plan.yml: plan': looks,
      'plan.yml: comment': { 'pull-requests': 'write' },
      'drift.yml: drift': looks,
    });
  });

  it('becomes an identity of a cloud in an environment of GitHub alone, by whose name that cloud lets it in', () => {
    const signIn = jobs.filter(({ job }) => job.steps?.some(({ uses = '' }) => /actions\/(sign-in|plan)$/.test(uses)));
    expect(signIn.map(({ at, job }) => [at, job.environment])).toEqual([
      ['deploy-stage.yml: deploy', '${{ inputs.stage }}'],
      ['drift.yml: drift', 'plan'],
      ['plan.yml: plan', 'plan'],
    ]);
  });

  it('knows no stored key, of a cloud or any other', () => {
    const stored =
      /\bsecrets\b|AWS_ACCESS_KEY_ID|AWS_SECRET_ACCESS_KEY|aws-access-key-id|ARM_CLIENT_SECRET|client-secret|creds:|credentials_json|GOOGLE_CREDENTIALS/;
    for (const { path, text } of texts) {
      // The folder of the password that a run makes for itself.
      const others = text.replaceAll(/mkdir -m 700 secrets\b|secrets\/postgres-password/g, '');
      expect({ path, stored: stored.exec(others)?.[0] }).toEqual({ path, stored: undefined });
    }
  });

  it('installs the SDKs, which the setup leaves out, before it bundles functions with them', () => {
    const bundling = steps.filter(({ step }) => /npm run functions/.test(step.run ?? ''));
    expect(bundling.map(({ at }) => at)).toEqual(['deploy-stage.yml: deploy', 'actions/plan/action.yml']);
    for (const { at } of bundling) {
      const commands = steps.flatMap(({ at: other, step }) => (other === at ? [step.run ?? ''] : [])).join('\n');
      expect(commands).toMatch(/npm run sdks[^]*npm run functions/);
    }
  });

  it('leaves no token in the folder of the code', () => {
    const checkouts = steps.filter(({ step }) => step.uses?.startsWith('actions/checkout@'));
    expect(checkouts.length).toBeGreaterThan(0);
    for (const { step } of checkouts) expect(step.with).toMatchObject({ 'persist-credentials': false });
  });

  it('puts nothing that others write into a command: values come by the environment', () => {
    const commands = steps.filter(({ step }) => step.run?.includes('${{'));
    expect(commands).toEqual([]);
  });

  it('never runs what a pull request brings with the rights of the repository', () => {
    for (const { workflow } of workflows) expect(Object.keys(workflow.on)).not.toContain('pull_request_target');
  });

  it('ends in time', () => {
    const endless = jobs.filter(({ job }) => job.uses === undefined && job['timeout-minutes'] === undefined);
    expect(endless.map(({ at }) => at)).toEqual([]);
  });
});

/** Azure with two groups of a site and a vault in each, which opens at once to who was let in, and the address of this machine; says what it was asked. */
const AZURE = `#!/bin/bash
echo "$*" >> asked
case "$*" in
  'group list '*) printf 'east\\nwest\\n' ;;
  'keyvault list --resource-group '*) echo "vault-of-$4" ;;
  'keyvault update '*' Enabled '*) touch "open-$4" ;;
  'keyvault secret list '*) [ -e "open-$5" ] ;;
  'keyvault network-rule list '*) echo 192.0.2.1 ;;
esac
`;

/** What the action runs, with the address of the runner. */
function vaultScript(access: string): string {
  const { runs } = parse(read('actions/vault/action.yml')) as {
    readonly runs: { readonly steps: readonly Step[] };
  };
  return `curl() { echo 192.0.2.1; }\n${runs.steps.find((step) => step.if === `inputs.access == '${access}'`)!.run!}`;
}

/** Azure's program where the run's sign-in has ended. */
const AWAY = 'az() { echo "signed out: $1 $2" >&2; return 1; }';

describe('the way to production', () => {
  const { steps: deploying = [] } = (parse(read('workflows/deploy-stage.yml')) as Workflow).jobs['deploy']!;
  const { jobs: stages } = parse(read('workflows/deploy.yml')) as Workflow;

  it('goes by the tests, then images, dev and staging, and one at a time', () => {
    expect(Object.entries(stages).map(([stage, { needs }]) => [stage, needs])).toEqual([
      ['test', undefined],
      ['images', 'test'],
      ['dev', 'images'],
      ['staging', 'dev'],
      ['prod', ['images', 'dev', 'staging']],
    ]);
  });

  it('ends where a test fails: nothing is built of that commit, and nothing deployed', () => {
    expect(stages['test']!.uses).toBe('./.github/workflows/test.yml');
    const { jobs: tests } = parse(read('workflows/test.yml')) as Workflow;
    // A job that is passed over in what is called would have those after it passed over too.
    expect(Object.entries(tests).map(([job, { if: condition }]) => [job, condition])).toEqual([
      ['unit', undefined],
      ['check', undefined],
      ['stacks', undefined],
      ['image', undefined],
    ]);
    const commands = Object.values(tests).flatMap(({ steps: all = [] }) => all.map(({ run }) => run));
    for (const each of ['test', 'run check', 'run check:infra', 'run test:infra', 'run policy'])
      expect(commands).toContain(`npm ${each}`);
    // Without a condition a job waits for the success of all that it needs.
    for (const stage of ['images', 'dev', 'staging']) expect(stages[stage]!.if).toBeUndefined();
    expect(stages['prod']!.if).toBe(
      "${{ !failure() && !cancelled() && needs.images.result == 'success' && !contains(needs.*.result, 'cancelled') }}",
    );
  });

  it('has each commit of main tested once, and each night again with the wider tiers', () => {
    const on = (name: string): readonly string[] => Object.keys((parse(read(`workflows/${name}`)) as Workflow).on);
    expect(on('test.yml')).toEqual(['pull_request', 'workflow_call', 'workflow_dispatch']);
    const { jobs: night } = parse(read('workflows/night.yml')) as Workflow;
    expect(on('night.yml')).toEqual(['schedule', 'workflow_dispatch']);
    expect(Object.keys(night)).toEqual(['test', 'wide']);
    expect(night['test']!.uses).toBe('./.github/workflows/test.yml');
  });

  it.each(['test', 'night', 'deploy'])('%s waits for no run that waits for it', (name) => {
    const { concurrency } = parse(read(`workflows/${name}.yml`)) as {
      readonly concurrency: { readonly group: string };
    };
    // What is called has the name of its caller in `github.workflow`.
    expect(concurrency.group).toBe(name === 'test' ? 'test-${{ github.workflow }}-${{ github.ref }}' : name);
  });

  it('builds an image of each service that is provisioned', () => {
    const { matrix } = (parse(read('workflows/images.yml')) as Workflow).jobs['build']!.strategy!;
    expect([...matrix['service']!].sort()).toEqual([...SERVICES].sort());
    for (const service of SERVICES) expect(existsSync(join(project, 'services', service, 'main.ts'))).toBe(true);
  });

  it('plans with the images of each service', () => {
    expect(/for service in (.*); do/.exec(read('actions/plan/action.yml'))?.[1]?.split(' ').sort()).toEqual(
      [...SERVICES].sort(),
    );
  });

  it.each(['actions/plan/action.yml', 'workflows/deploy-stage.yml'])(
    '%s gives the stacks the images that are not built here too',
    (path) => {
      const [, filter = ''] = /(?:digests=|image_digests=)\$\(jq -c (.*)\)\n/.exec(read(path))!;
      expect(filter).toMatch(/\.images \/\/ \{\}/);
    },
  );

  it('opens the vault of a site at Azure before its stacks, and shuts it behind the last that needs it, in its state too, whatever happens', () => {
    const order = deploying.flatMap(({ name = '', uses, with: inputs, if: condition = '' }) => {
      const stack = STACKS.find((each) => name === each || name.startsWith(`${each}, `));
      const what = uses === './.github/actions/vault' ? String(inputs!['access']) : stack;
      return what === undefined ? [] : [`${what}${condition.startsWith('always() && ') ? ' always' : ''}`];
    });
    expect(order).toEqual(['open', 'foundation', 'data', 'foundation', 'shut always', 'platform', 'services']);
    const [opened = '', shut = ''] = deploying.flatMap(({ name = '', run = '' }) =>
      name.startsWith('foundation') ? [run] : [],
    );
    expect(opened).toContain('TF_VAR_deployer_addresses="$VAULT_OPEN_TO"');
    expect(shut).toContain('bash .ci/apply-stack.sh "infra/out/$NAME/$CLOUD/stacks/foundation"');
    expect(shut).not.toContain('deployer_addresses');
  });

  it('signs in again behind what may outlast a sign-in, before the vault is shut', () => {
    const places = deploying.flatMap(({ uses = '', name = '', if: condition = '' }, at) =>
      uses.endsWith('/sign-in') || name === 'data' || uses.endsWith('/vault')
        ? [[uses.split('/').at(-1) ?? name, name, condition.startsWith('always()'), at]]
        : [],
    );
    expect(places.map(([what, name, isAlways]) => [what === '' ? name : what, isAlways])).toEqual([
      ['sign-in', false],
      ['vault', false],
      ['data', false],
      ['sign-in', true],
      ['vault', true],
    ]);
  });

  it.each(['open', 'shut'])('ends where Azure cannot be asked for the vault that it is to %s', (access) => {
    const ended = spawnSync(
      'bash',
      ['--noprofile', '--norc', '-eo', 'pipefail', '-c', `${AWAY}\n${vaultScript(access)}`],
      {
        env: { PATH: process.env['PATH'], NAME: 'bergen.dev', GITHUB_ENV: '/dev/null' },
        encoding: 'utf8',
      },
    );
    expect([ended.status, ended.stderr]).toEqual([1, 'signed out: group list\n']);
  });

  it.each([
    [
      'open',
      [
        'keyvault network-rule add --name vault-of-east --resource-group east --ip-address 192.0.2.1 --output none',
        'keyvault update --name vault-of-east --resource-group east --public-network-access Enabled --output none',
        'keyvault network-rule add --name vault-of-west --resource-group west --ip-address 192.0.2.1 --output none',
        'keyvault update --name vault-of-west --resource-group west --public-network-access Enabled --output none',
      ],
    ],
    [
      'shut',
      [
        'keyvault update --name vault-of-east --resource-group east --public-network-access Disabled --output none',
        'keyvault network-rule remove --name vault-of-east --resource-group east --ip-address 192.0.2.1 --output none',
        'keyvault update --name vault-of-west --resource-group west --public-network-access Disabled --output none',
        'keyvault network-rule remove --name vault-of-west --resource-group west --ip-address 192.0.2.1 --output none',
      ],
    ],
  ])('has the vaults of both regions to %s, where a site has a second', (access, changes) => {
    const folder = mkdtempSync(join(tmpdir(), 'tribo-vaults-'));
    try {
      writeFileSync(join(folder, 'az'), AZURE, { mode: 0o755 });
      const ended = spawnSync('bash', ['--noprofile', '--norc', '-eo', 'pipefail', '-c', vaultScript(access)], {
        env: { PATH: `${folder}:${process.env['PATH']}`, NAME: 'bergen.dev', GITHUB_ENV: join(folder, 'env') },
        cwd: folder,
        encoding: 'utf8',
      });
      expect([ended.status, ended.stderr]).toEqual([0, '']);
      const asked = readFileSync(join(folder, 'asked'), 'utf8').trim().split('\n');
      expect(asked[0]).toMatch(/^group list --tag Deployment=tribo-bergen-dev /);
      expect(asked.filter((call) => / (add|update|remove) /.test(call))).toEqual(changes);
      if (access === 'open') expect(readFileSync(join(folder, 'env'), 'utf8')).toBe('VAULT_OPEN_TO=["192.0.2.1"]\n');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('brings what runs behind an endpoint at Google Cloud once there is the endpoint, by what its stack says', () => {
    const { steps: all = [] } = (parse(read('workflows/deploy-stage.yml')) as Workflow).jobs['deploy']!;
    const names = all.map(({ name }) => name);
    const models = all.find(({ name }) => name === 'models')!;
    expect(names.indexOf('models')).toBe(names.indexOf('platform') + 1);
    expect(models.if).toMatch(/matrix\.cloud == 'gcp'$/);
    expect(models.run).toMatch(/output -json \| jq -c '\.model_deployment\.value[^]*npm run models -- /);
    const { scripts } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8')) as {
      readonly scripts: Readonly<Record<string, string>>;
    };
    expect(existsSync(join(project, scripts['models']!.replace(/^node /, '')))).toBe(true);
  });

  it('never lets whoever looks open the vault, nor asks for what is deployed where that takes rights to keys', () => {
    const looking = ['workflows/plan.yml', 'workflows/drift.yml', 'actions/plan/action.yml'].map(read);
    for (const text of looking) expect(text).not.toContain('actions/vault');
    expect(read('../.ci/plan-stacks.sh')).toMatch(/"\$CLOUD" != azure \] \|\| options\+=\(-refresh=false\)/);
  });

  it('has an image that is built again under a tag of its own, as registries replace none', () => {
    expect(read('workflows/deploy-stage.yml')).toContain('"docker://$REGISTRY/$service:$GITHUB_SHA-${digest:7:12}"');
  });

  it('runs by the Node.js that images have', () => {
    const [, version] = /FROM node:([\d.]+)-/.exec(readFileSync(join(project, 'Dockerfile'), 'utf8'))!;
    expect(read('actions/setup/action.yml')).toContain(`node-version: ${version}\n`);
  });
});
