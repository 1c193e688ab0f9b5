import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { Actionlint } from './actionlint.ts';

const project = join(import.meta.dirname, '../../..');

it('actionlint finds the workflows in order', async () => {
  expect(await new Actionlint().findings(project)).toEqual([]);
});

it('actionlint finds fault with a worse one', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tribo-workflow-'));
  const worse = join(folder, 'worse.yml');
  writeFileSync(
    worse,
    'on: push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n      - run: echo ${{ github.event.pull_request.title }}\n',
  );
  expect(await new Actionlint().findings(project, [worse])).toEqual([expect.stringContaining('untrusted')]);
  rmSync(folder, { recursive: true });
});
