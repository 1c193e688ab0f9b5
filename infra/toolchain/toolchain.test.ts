import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Cloud } from '../../core/decision/cloud.ts';
import { blocksUnder } from '../../test/peers/commands-of-pages.ts';
import { PROGRAMS } from './programs.ts';

/** What each prints where it is new enough, as its vendor's documents show it. */
const SAYS: Readonly<Record<string, string>> = {
  terraform: '{\n  "terraform_version": "1.11.4",\n  "platform": "linux_amd64"\n}',
  docker: 'github.com/docker/buildx v0.30.1 9e66234aa13328a5e75b75aa5574e1ca6d6d9c01',
  jq: 'jq-1.6',
  python3: 'Python 3.11.7',
  curl: 'curl 7.88.1 (x86_64-pc-linux-gnu) libcurl/7.88.1 OpenSSL/3.0.19',
  git: 'git version 2.39.5',
  openssl: 'OpenSSL 3.0.19 27 Jan 2026 (Library: OpenSSL 3.0.19 27 Jan 2026)',
  aws: 'aws-cli/2.27.41 Python/3.11.6 Linux/5.10.205 exe/x86_64.amzn.2023',
  az: '{\n  "azure-cli": "2.80.0",\n  "azure-cli-core": "2.80.0"\n}',
  gcloud: 'Google Cloud SDK 548.0.0\nbq 2.1.25\ncore 2025.11.17',
  skopeo: 'skopeo version 1.9.3',
  kubectl: '{\n  "clientVersion": {\n    "major": "1",\n    "gitVersion": "v1.34.1"\n  }\n}',
  kubelogin: 'kubelogin version \ngit hash: v0.1.6/7a24d1c\nGo version: go1.23.4',
  'gke-gcloud-auth-plugin': 'Kubernetes v1.28.2-alpha+fa9ef5b',
};

/** `npm run policy` runs checkov by it. */
const OF_POLICY = 'python3';
/** On any machine with a shell; and what runs this. */
const THERE_ANYWAY = ['bash', 'mkdir', 'mktemp', 'mv', 'sed', 'tee', 'node', 'npm'];

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tribo-toolchain-'));
  for (const [name, says] of Object.entries(SAYS)) put(name, `cat <<'END'\n${says}\nEND`);
});
afterEach(() => rmSync(folder, { recursive: true }));

function put(name: string, script: string): void {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\nPATH=/usr/bin:/bin\n${script}\n`);
  chmodSync(path, 0o755);
}

function toolchain(...clouds: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), ...clouds], {
    env: { PATH: folder },
    encoding: 'utf8',
  });
  return { status, lines: stdout.trimEnd().split('\n'), stderr };
}

/** What a shell looks for on its PATH as it runs those lines, and finds nowhere; each is taken to have said a word. */
function programsOf(lines: readonly string[]): ReadonlySet<string> {
  const sought = join(folder, 'sought');
  const script = [
    `PATH=nowhere; command_not_found_handle() { echo "$1" >> '${sought}'; echo word; }`,
    // What lines write stays in this folder.
    'cd() { :; }',
    // What is to be filled in.
    ...lines.map((text) => text.replaceAll(/<[a-z][a-z ]*>/gi, 'word')),
    'echo ended',
  ].join('\n');
  const { stdout, stderr } = spawnSync('bash', ['-c', script], { cwd: folder, input: '', encoding: 'utf8' });
  if (!stdout.endsWith('ended\n')) throw new Error(`the lines end early: ${stderr}`);
  return new Set(readFileSync(sought, 'utf8').trimEnd().split('\n'));
}

describe('npm run toolchain', () => {
  it('names each program with its version where a machine has all', () => {
    expect(toolchain()).toMatchObject({
      status: 0,
      lines: [
        ...['ok   terraform: 1.11', 'ok   docker: 0.30', 'ok   jq: 1.6', 'ok   python3: 3.11', 'ok   curl: 7.88'],
        ...['ok   git: 2.39', 'ok   openssl: 3.0', 'ok   aws: 2.27', 'ok   az: 2.80', 'ok   gcloud: 548.0'],
        'ok   skopeo: 1.9',
      ],
    });
  });

  it('asks for what one cloud takes alone', () => {
    const names = toolchain('azure').lines.map((line) => /^ok {3}(\w+):/.exec(line)?.[1]);
    expect(names).toEqual(['terraform', 'docker', 'jq', 'python3', 'curl', 'git', 'az']);
  });

  it.each([
    ['aws', ['ok   kubectl: 1.34']],
    ['azure', ['ok   kubectl: 1.34', 'ok   kubelogin: 0.1']],
    ['gcp', ['ok   kubectl: 1.34', 'ok   gke-gcloud-auth-plugin: 1.28']],
  ])('asks at %s for what a cluster takes where that is named, and no sooner', (cloud, lines) => {
    const without = new Set(toolchain(cloud).lines);
    expect(toolchain(cloud, 'kubernetes').lines.filter((line) => !without.has(line))).toEqual(lines);
  });

  it.each<[Cloud, section: string, more: readonly string[]]>([
    ['aws', 'AWS', ['Devices by an authority of the plant']],
    ['azure', 'Azure', []],
    ['gcp', 'Google Cloud', []],
  ])(
    'looks at %s for what the lines of docs/deployment.md and infra/README.md run, and no more',
    (cloud, name, more) => {
      const lines = [
        ...['From an empty account to a first device', name, ...more].flatMap((heading) =>
          blocksUnder('docs/deployment.md', heading),
        ),
        ...blocksUnder('infra/README.md', `Deploying to ${name}`),
      ];
      const looked = PROGRAMS.filter(
        ({ clouds, isForClusters }) => clouds.includes(cloud) && isForClusters === undefined,
      );
      const missed = [...programsOf(lines), OF_POLICY].filter((program) => !THERE_ANYWAY.includes(program));
      expect(new Set(looked.map((program) => program.name))).toEqual(new Set(missed));
    },
  );

  it.each([
    [
      'is too old',
      () => put('terraform', `echo '{"terraform_version": "1.9.8"}'`),
      /^FAIL terraform: 1\.9 is older than 1\.11: it applies.*; https:/,
    ],
    ['is of an older line', () => put('aws', 'echo aws-cli/1.44.2'), /^FAIL aws: 1\.44 is older than 2\.0: /],
    ['is not there', () => rmSync(join(folder, 'jq')), /^FAIL jq: not found on the PATH: it reads/],
    [
      'fails',
      () => put('docker', 'echo "docker: unknown command: docker buildx" >&2; exit 1'),
      /^FAIL docker: `docker buildx version` fails: it builds/,
    ],
    ['says nothing', () => put('az', 'true'), /^FAIL az: `az version` does not say which it is: /],
  ])('fails where one %s, and says what it is for and where it is from', (_what, prepare, line) => {
    prepare();
    const { status, lines } = toolchain();
    expect(status).toBe(1);
    expect(lines.filter((each) => !each.startsWith('ok'))).toEqual([expect.stringMatching(line)]);
  });

  it('knows three clouds', () => {
    expect(toolchain('ibm')).toMatchObject({
      status: 64,
      stderr: 'ibm: name any of aws, azure, gcp, or none for all, and kubernetes for a cluster\n',
    });
  });
});
