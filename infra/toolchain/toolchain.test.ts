import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

/** What each prints where it is new enough, as its vendor's documents show it. */
const SAYS: Readonly<Record<string, string>> = {
  terraform: '{\n  "terraform_version": "1.11.4",\n  "platform": "linux_amd64"\n}',
  docker: 'github.com/docker/buildx v0.30.1 9e66234aa13328a5e75b75aa5574e1ca6d6d9c01',
  jq: 'jq-1.6',
  python3: 'Python 3.11.7',
  aws: 'aws-cli/2.27.41 Python/3.11.6 Linux/5.10.205 exe/x86_64.amzn.2023',
  az: '{\n  "azure-cli": "2.80.0",\n  "azure-cli-core": "2.80.0"\n}',
  gcloud: 'Google Cloud SDK 548.0.0\nbq 2.1.25\ncore 2025.11.17',
};

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

describe('npm run toolchain', () => {
  it('names each program with its version where a machine has all', () => {
    expect(toolchain()).toMatchObject({
      status: 0,
      lines: [
        ...['ok   terraform: 1.11', 'ok   docker: 0.30', 'ok   jq: 1.6', 'ok   python3: 3.11', 'ok   aws: 2.27'],
        ...['ok   az: 2.80', 'ok   gcloud: 548.0'],
      ],
    });
  });

  it('asks for what one cloud takes alone', () => {
    const names = toolchain('gcp').lines.map((line) => /^ok {3}(\w+):/.exec(line)?.[1]);
    expect(names).toEqual(['terraform', 'docker', 'jq', 'python3', 'gcloud']);
  });

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
      stderr: 'ibm: name any of aws, azure, gcp, or none for all\n',
    });
  });
});
