import { execFile } from 'node:child_process';
import { existsSync, copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Hadolint } from './hadolint.ts';
import { ImageFiles } from './image-files.ts';
import { Reader, type Stage } from './reader.ts';

const run = promisify(execFile);
const project = join(import.meta.dirname, '../../..');
const dockerfile = join(project, 'Dockerfile');

/** Whatever can be started by itself is an image. */
const SERVICES = readdirSync(join(project, 'services')).filter((name) =>
  existsSync(join(project, 'services', name, 'main.ts')),
);

let stages: readonly Stage[];
let reader: Reader;

beforeAll(async () => {
  reader = await Reader.open();
  stages = await reader.dockerfile(dockerfile);
});

describe('the Dockerfile', () => {
  it('has a target for each service, and stages that these stand on', () => {
    const used = new Set([...stages.map(({ base }) => base), ...values('COPY').map(({ From }) => From)]);
    const targets = stages.map(({ name }) => name).filter((name) => !used.has(name));
    expect(targets.sort()).toEqual(SERVICES.sort());
  });

  it('stands on images by their digests', () => {
    const own = new Set(stages.map(({ name }) => name));
    const images = stages.map(({ base }) => base).filter((base) => !own.has(base));
    expect(images).toEqual([expect.stringMatching(/^node:24\.\d+\.\d+-bookworm-slim@sha256:[0-9a-f]{64}$/)]);
  });

  it('has the Node.js that the platform is tested with', () => {
    expect(stages[0]?.base).toMatch(new RegExp(`^node:${process.versions.node.replaceAll('.', '\\.')}-`));
  });

  it('fetches nothing without its checksum', () => {
    const fetched = values('ADD');
    expect(fetched.length).toBeGreaterThan(0);
    for (const { Checksum } of fetched) expect(Checksum).toMatch(/^sha256:[0-9a-f]{64}$/);
  });

  it.each(SERVICES)('%s is user 1000 at the end, has a health check and a folder for its data', (name) => {
    expect(lastOf(name, 'USER')).toMatchObject({ User: '1000:1000' });
    expect(lastOf(name, 'HEALTHCHECK')).toMatchObject({ Health: { Test: expect.arrayContaining(['CMD']) as unknown } });
    expect(lastOf(name, 'VOLUME')).toMatchObject({ Volumes: ['/var/lib/tribo'] });
  });

  it('is found in order by hadolint', async () => {
    expect(await new Hadolint().findings(dockerfile)).toEqual([]);
  });

  it('hadolint finds fault with a worse one', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tribo-dockerfile-'));
    const worse = join(folder, 'Dockerfile');
    writeFileSync(worse, 'FROM node\nRUN cd /tmp && apt-get install curl\n');
    expect(await new Hadolint().findings(worse)).toEqual(
      expect.arrayContaining([expect.stringContaining('DL3006'), expect.stringContaining('DL3008')]),
    );
    rmSync(folder, { recursive: true });
  });

  it('takes no test, no history, no data folder and no settings of this machine into a build', async () => {
    const files = await reader.context(project);
    expect(files).toContain('services/api-gateway/main.ts');
    expect(
      files.filter((file) =>
        /\.test\.ts$|^(\.git|\.env|\.tribo|test|docs|infra)(\/|$)|node_modules|\/dist\//.test(file),
      ),
    ).toEqual([]);
  });
});

describe('an image', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tribo-images-'));
  let files: ImageFiles;

  beforeAll(async () => {
    files = await ImageFiles.read(reader, folder);
    await files.layOut('service');
  }, 600_000);

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('holds no package that only development needs', async () => {
    const { root } = await files.layOut('service');
    const packages = readdirSync(join(root, 'srv/tribo/node_modules'));
    expect(packages).toContain('express');
    expect(
      packages.filter((name) => ['jest', 'typescript', 'eslint', 'vite', 'playwright-core'].includes(name)),
    ).toEqual([]);
  });

  // The model server starts with a model alone, which its own tests give it.
  it.each(SERVICES.filter((name) => name !== 'model-server'))(
    '%s runs on its files alone, as user 1000 and with a read-only file system, passes its health check and stops when asked',
    async (name) => {
      const { root, env, command, healthCheck } = await files.layOut(name);
      mkdirSync(join(root, 'opt/node'), { recursive: true });
      copyFileSync(process.execPath, join(root, 'opt/node/node'));
      const [environment, health] = [join(folder, `${name}.env`), join(folder, `${name}.health`)];
      writeFileSync(
        environment,
        Object.entries({ ...env, PATH: '/opt/node:/usr/bin' })
          .map((pair) => `${pair.join('=')}\n`)
          .join(''),
      );
      writeFileSync(health, healthCheck.join(' '));
      const script = join(import.meta.dirname, 'contain.sh');
      const contained = run('unshare', ['--mount', '--net', 'sh', script, root, environment, health, ...command]);
      await expect(contained).resolves.toMatchObject({
        stderr: expect.not.stringContaining('did not stop') as unknown,
      });
    },
    300_000,
  );
});

/** What all instructions of the word say. */
function values(word: string): readonly Readonly<Record<string, unknown>>[] {
  const commands = stages.flatMap((stage) => stage.commands).filter(({ name }) => name === word);
  return commands.map(({ value }) => value as Readonly<Record<string, unknown>>);
}

/** What the stage, or the nearest of those that it stands on, says by the word. */
function lastOf(stage: string, word: string): unknown {
  const { base, commands } = stages.find(({ name }) => name === stage)!;
  return (
    commands.findLast(({ name }) => name === word)?.value ??
    (stages.some(({ name }) => name === base) && lastOf(base, word))
  );
}
