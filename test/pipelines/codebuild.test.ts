import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';

const project = join(import.meta.dirname, '../..');
const FOLDER = '.ci/codebuild';

interface Buildspec {
  readonly version: number;
  readonly env: Readonly<Record<string, unknown>>;
  readonly phases: Readonly<Record<string, { readonly commands: readonly string[] }>>;
  readonly artifacts?: { readonly files: readonly string[] };
}

interface Workflow {
  readonly jobs: Readonly<Record<string, { readonly steps?: readonly { readonly run?: string }[] }>>;
}

const read = (path: string): string => readFileSync(join(project, path), 'utf8');
const files = readdirSync(join(project, FOLDER));
const buildspecs = files
  .filter((file) => file.endsWith('.yml'))
  .map((file) => ({ file, spec: parse(read(`${FOLDER}/${file}`)) as Buildspec }));
const scripts = [
  ...files.filter((file) => file.endsWith('.sh')).map((file) => `${FOLDER}/${file}`),
  ...['.ci/apply-stack.sh', '.ci/build-image.sh', '.ci/plan-stacks.sh', '.ci/validate-stacks.sh'],
];
const commandsOf = (file: string): readonly string[] =>
  buildspecs
    .filter((each) => each.file === file)
    .flatMap(({ spec }) => Object.values(spec.phases).flatMap(({ commands }) => commands));
const workflow = (name: string): string => read(`.github/workflows/${name}`);

describe('a buildspec', () => {
  it('is there for each project of the pipeline', () => {
    expect(buildspecs.map(({ file }) => file)).toEqual(['apply.yml', 'images.yml', 'plan.yml', 'test.yml']);
  });

  it.each(buildspecs)('$file runs in bash and keeps no variable that is a secret', ({ spec }) => {
    expect(spec.version).toBe(0.2);
    expect(spec.env['shell']).toBe('bash');
    const { shell, 'exported-variables': exported = [], ...others } = spec.env;
    expect([shell, others]).toEqual(['bash', {}]);
    expect(['RESULT', 'LEFT_OUT', 'PLAN_LOG']).toEqual(expect.arrayContaining(exported as string[]));
  });

  it.each([...buildspecs.map(({ file }) => `${FOLDER}/${file}`), ...scripts])('%s has no key in it', (path) => {
    expect(read(path)).not.toMatch(/\bsecrets?\b|parameter-store|AKIA|ACCESS_KEY|ghp_|GITHUB_TOKEN|password=/i);
  });

  it.each(scripts)('%s is a script that bash can read', (path) => {
    expect(spawnSync('bash', ['-n', join(project, path)], { encoding: 'utf8' })).toMatchObject({
      status: 0,
      stderr: '',
    });
  });

  it('names no script that is not there', () => {
    const named = buildspecs
      .flatMap(({ file }) => commandsOf(file))
      .flatMap((command) => command.match(/\.ci\/\S+\.sh/g) ?? []);
    expect(named.length).toBeGreaterThan(0);
    for (const path of named) expect(scripts).toContain(path);
  });

  it('names no npm script that is not there', () => {
    const { scripts: known } = JSON.parse(read('package.json')) as { readonly scripts: object };
    const named = buildspecs
      .flatMap(({ file }) => commandsOf(file))
      .flatMap((command) => [...command.matchAll(/npm run (?:--silent )?([\w:]+)/g)]);
    for (const [, name] of named) expect(Object.keys(known)).toContain(name);
  });
});

describe('CodePipeline does what the workflows do', () => {
  it('tests and checks by each command of their jobs', () => {
    const { jobs } = parse(workflow('test.yml')) as Workflow;
    const commands = ['unit', 'check', 'stacks']
      .flatMap((job) => jobs[job]!.steps ?? [])
      .flatMap(({ run }) => (run === undefined ? [] : [run]));
    expect(commands.length).toBeGreaterThan(6);
    // Where the providers are kept while stacks are validated is the machine's own.
    const here = commandsOf('test.yml').map((command) => command.replace(/^TF_PLUGIN_CACHE_DIR=\S+( -d\))? /, ''));
    expect(here).toEqual(expect.arrayContaining(commands));
  });

  it('says which of their jobs it has', () => {
    const { jobs } = parse(workflow('test.yml')) as Workflow;
    const said = /^# The jobs (\w+), (\w+) and (\w+) of /.exec(read(`${FOLDER}/test.yml`))!.slice(1);
    expect(Object.keys(jobs)).toEqual([...said, 'image']);
  });

  it('has Terraform where stacks are validated, planned or applied', () => {
    for (const file of ['test.yml', 'plan.yml', 'apply.yml'])
      expect(commandsOf(file).join('\n')).toMatch(/install-terraform\.sh[^]*(validate-stacks|plan-stacks|apply)\.sh/);
  });

  it.each([
    ['.ci/build-image.sh', 'images.yml', `${FOLDER}/build-images.sh`],
    ['.ci/plan-stacks.sh', '../actions/plan/action.yml', `${FOLDER}/plan.yml`],
    ['.ci/apply-stack.sh', 'deploy-stage.yml', `${FOLDER}/apply.sh`],
    ['.ci/validate-stacks.sh', 'test.yml', `${FOLDER}/test.yml`],
  ])('by %s, as they do', (script, used, here) => {
    expect(workflow(used)).toContain(`bash ${script}`);
    expect(read(here)).toContain(`bash ${script}`);
  });

  it('by their Terraform, of which the whole archive is known before it runs', () => {
    const script = read(`${FOLDER}/install-terraform.sh`);
    for (const name of ['deploy-stage.yml', 'test.yml']) {
      const [, version] = /terraform_version: ([\d.]+)/.exec(workflow(name))!;
      expect(script).toContain(`version=${version}\n`);
    }
    expect(script).toMatch(/sha256=[0-9a-f]{64}\n[^]*sha256sum --check[^]*unzip/);
  });

  it('in their order of stacks', () => {
    const stacks = /for stack in (.*); do/.exec(read(`${FOLDER}/apply.sh`))![1];
    expect(stacks).toBe('foundation data platform');
  });

  it('takes the role that looks or applies before the clouds are asked, and never that of the project', () => {
    for (const file of ['plan.yml', 'apply.yml']) {
      const commands = commandsOf(file).join('\n');
      expect(commands).toMatch(/become\.sh[^]*(plan-stacks|apply)\.sh/);
    }
  });
});

describe('what the scripts do', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tribo-codebuild-'));
    mkdirSync(join(folder, 'bin'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  /** A program of that name, which notes how it was called and then does as it is told. */
  const program = (name: string, does = '') => {
    const path = join(folder, 'bin', name);
    writeFileSync(path, `#!/usr/bin/env bash\necho "${name} $*" >> "$CALLS"\n${does}\n`);
    chmodSync(path, 0o755);
  };
  const run = (script: string, env: Readonly<Record<string, string>> = {}, args: readonly string[] = []) => {
    const calls = join(folder, 'calls');
    writeFileSync(calls, '');
    const PATH = `${join(folder, 'bin')}:${process.env['PATH']}`;
    const { status, stderr } = spawnSync('bash', [join(project, script), ...args], {
      cwd: folder,
      env: { PATH, CALLS: calls, ...env },
      encoding: 'utf8',
    });
    return { status, stderr, calls: readFileSync(calls, 'utf8').trim().split('\n') };
  };

  it('an application is of the plan that was made just before, and there is none where the plan fails', () => {
    program('terraform');
    expect(run('.ci/apply-stack.sh', {}, [folder]).calls).toEqual([
      'terraform init -input=false',
      'terraform plan -input=false -out=plan',
      'terraform apply -input=false plan',
    ]);
    program('terraform', '[ "$1" != plan ]');
    const failed = run('.ci/apply-stack.sh', {}, [folder]);
    expect([failed.status, failed.calls.at(-1)]).toEqual([1, 'terraform plan -input=false -out=plan']);
  });

  const planned = (code: number) => {
    for (const stack of ['foundation', 'pipeline'])
      mkdirSync(join(folder, 'infra/out/akron.prod/aws/stacks', stack), { recursive: true });
    program('terraform', `case "$2" in plan) exit ${code};; show) echo "+ a bucket";; esac`);
    const result = run('.ci/plan-stacks.sh', { NAME: 'akron.prod', CLOUD: 'aws', IMAGE_DIGESTS: '{}' });
    return { ...result, told: (name: string) => readFileSync(join(folder, name), 'utf8') };
  };

  it.each([
    [0, 'same'],
    [2, 'changed'],
  ])('a plan that ends with %i says that the environment is %s, and what of it', (code, result) => {
    const { status, told } = planned(code);
    expect([status, told('plan-result')]).toEqual([0, `${result}\n`]);
    expect(told('plan.md')).toContain('### akron.prod: foundation\n```\n+ a bucket\n```\n### akron.prod: pipeline\n');
  });

  it('a plan that fails ends the run, and says nothing of the environment', () => {
    const { status, told } = planned(1);
    expect(status).toBe(1);
    expect(() => told('plan-result')).toThrow('ENOENT');
  });

  describe('a plan that fails behind a stack that would change', () => {
    const behind = (code: number) => {
      for (const stack of ['foundation', 'data', 'platform', 'pipeline'])
        mkdirSync(join(folder, 'infra/out/akron.prod/aws/stacks', stack), { recursive: true });
      // The platform asks for an output of data which that does not have before it is applied.
      program(
        'terraform',
        `case "$1 $2" in *data\\ plan) exit ${code};; *platform\\ plan) exit 1;; *show) echo "+ a bucket";; esac`,
      );
      return run('.ci/plan-stacks.sh', { NAME: 'akron.prod', CLOUD: 'aws', IMAGE_DIGESTS: '{}' });
    };
    const told = (name: string) => readFileSync(join(folder, name), 'utf8');

    it('is told, with what was planned, for application alone can mend it', () => {
      expect(behind(2).status).toBe(0);
      expect([told('plan-result'), told('plan-left-out')]).toEqual(['changed\n', 'platform\n']);
      const sections = told('plan.md').split('### akron.prod: ');
      expect(sections.map((section) => section.split('\n')[0])).toEqual([
        '',
        ...['foundation', 'data', 'platform', 'pipeline'],
      ]);
      expect(sections[3]).toContain('**Not planned.**');
      expect(sections[3]).not.toContain('+ a bucket');
      expect(sections[4]).toContain('+ a bucket');
    });

    it('ends the run where no stack would change, as no application could mend it', () => {
      expect(behind(0).status).toBe(1);
      expect(() => told('plan-result')).toThrow('ENOENT');
    });
  });

  it('a plan of all stacks leaves none out', () => {
    expect(planned(2).told('plan-left-out')).toBe('\n');
  });

  it.each([
    ['', 0],
    ['*data/\\ validate', 1],
    ['*foundation/\\ init', 1],
  ])('each stack is validated, and where Terraform refuses "%s" the end is %i', (refused, expected) => {
    for (const stack of ['data', 'foundation'])
      mkdirSync(join(folder, 'infra/out/akron.prod/aws/stacks', stack), { recursive: true });
    program('terraform', refused === '' ? '' : `case "$1 $2" in ${refused}) exit 1;; esac`);
    const { status, calls } = run('.ci/validate-stacks.sh', { TF_PLUGIN_CACHE_DIR: join(folder, 'providers') });
    expect(status).toBe(expected);
    for (const stack of ['data', 'foundation'])
      expect(calls).toContain(
        `terraform -chdir=infra/out/akron.prod/aws/stacks/${stack}/ init -backend=false -input=false -no-color`,
      );
  });

  it('no stack to validate is a mistake', () => {
    program('terraform');
    expect(run('.ci/validate-stacks.sh', { TF_PLUGIN_CACHE_DIR: join(folder, 'providers') }).status).toBe(1);
  });

  describe('an application', () => {
    const digest = `sha256:${'7'.padStart(64, '0')}`;
    const applied = (answer: string) => {
      for (const stack of ['foundation', 'data', 'platform'])
        mkdirSync(join(folder, 'infra/out/akron.prod/aws/stacks', stack), { recursive: true });
      mkdirSync(join(folder, FOLDER), { recursive: true });
      for (const script of ['.ci/apply-stack.sh', `${FOLDER}/keep-images.sh`])
        writeFileSync(join(folder, script), read(script));
      writeFileSync(
        join(folder, 'digests.json'),
        JSON.stringify({ 'ingestion-service': digest, 'api-gateway': digest }),
      );
      program('terraform');
      program('aws', `[ "$2" != batch-get-image ] || echo '${answer}'`);
      return run(`${FOLDER}/apply.sh`, {
        ...{ NAME: 'akron.prod', REPOSITORIES: 'tribo-akron-prod', REVISION: 'abc123' },
        ...{ CODEBUILD_BUILD_NUMBER: '9', CODEBUILD_SRC_DIR_Digests: folder },
      });
    };

    it('has the registry keep each image, as it is, under a tag of the run, before it runs anywhere', () => {
      const { status, stderr, calls } = applied(
        '{"images": [{"imageManifest": "{\\"schemaVersion\\": 2}", "imageManifestMediaType": "application/vnd.oci.image.index.v1+json"}]}',
      );
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(calls.slice(0, 4)).toEqual(
        ['ingestion-service', 'api-gateway'].flatMap((service) => [
          `aws ecr batch-get-image --repository-name tribo-akron-prod/${service} --image-ids imageDigest=${digest} --output json`,
          `aws ecr put-image --repository-name tribo-akron-prod/${service} --image-tag deployed-abc123-9 --image-digest ${digest} --image-manifest {"schemaVersion": 2} --image-manifest-media-type application/vnd.oci.image.index.v1+json`,
        ]),
      );
      expect(calls.slice(4).filter((call) => call.includes('apply'))).toHaveLength(3);
    });

    it('applies nothing where the registry does not have an image', () => {
      const { status, calls } = applied('{"images": [], "failures": [{"failureCode": "ImageNotFound"}]}');
      expect(status).not.toBe(0);
      expect(calls.filter((call) => call.startsWith('terraform') || call.includes('put-image'))).toEqual([]);
    });
  });

  it.each([
    ['setup.sh', 'npm'],
    ['become.sh', 'aws'],
  ])('%s fails where %s does, though it is sourced', (script, fails) => {
    writeFileSync(join(folder, 'sources.sh'), `. ${join(project, FOLDER, script)}\n`);
    const end = () =>
      spawnSync('bash', [join(folder, 'sources.sh')], {
        env: {
          ...{ PATH: `${join(folder, 'bin')}:${process.env['PATH']}`, CALLS: join(folder, 'calls') },
          ...{ ROLE: 'arn:aws:iam::123456789012:role/tribo-deployer', AWS_REGION: 'us-east-2' },
        },
      }).status;
    program(fails, 'exit 3');
    expect(end()).not.toBe(0);
    program(fails);
    expect(end()).toBe(0);
  });

  it('images have a tag of their run, and their digests are what the builds say', () => {
    program('aws', 'echo of-minutes');
    program(
      'docker',
      '[ "$1" != login ] || cat > /dev/null; [ "$2" != build ] || echo "{\\"containerimage.digest\\": \\"sha256:$(printf "%064d" 7)\\"}" > metadata.json',
    );
    mkdirSync(join(folder, '.ci'));
    writeFileSync(join(folder, '.ci/build-image.sh'), read('.ci/build-image.sh'));
    const { status, stderr, calls } = run(`${FOLDER}/build-images.sh`, {
      REPOSITORY: '123456789012.dkr.ecr.us-east-2.amazonaws.com/tribo-akron-prod/ingestion-service',
      SERVICES: 'ingestion-service api-gateway',
      SOURCE: 'https://github.com/example/tribo',
      ...{ REVISION: 'abc123', CODEBUILD_BUILD_NUMBER: '9' },
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(calls).toContain(
      'docker login --username AWS --password-stdin 123456789012.dkr.ecr.us-east-2.amazonaws.com',
    );
    const pushed = calls.flatMap((call) => /name=(\S+),push=true/.exec(call)?.[1] ?? []);
    expect(pushed).toEqual(
      ['ingestion-service', 'api-gateway'].map(
        (service) => `123456789012.dkr.ecr.us-east-2.amazonaws.com/tribo-akron-prod/${service}:abc123-9`,
      ),
    );
    const digest = `sha256:${'7'.padStart(64, '0')}`;
    expect(JSON.parse(readFileSync(join(folder, 'digests.json'), 'utf8'))).toEqual({
      'ingestion-service': digest,
      'api-gateway': digest,
    });
  });

  it.each([
    ['no digest', '{}'],
    ['one that is none', '{"containerimage.digest": "latest"}'],
  ])('an image whose build says %s ends the run', (_what, metadata) => {
    program('docker', `echo '${metadata}' > metadata.json`);
    const env = { SERVICE: 'api-gateway', CLOUD: 'aws', IMAGE: 'i', TAG: 't', SOURCE: 's', REVISION: 'r' };
    expect(run('.ci/build-image.sh', env).status).not.toBe(0);
  });
});
