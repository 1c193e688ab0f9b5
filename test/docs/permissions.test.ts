import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import type { ZodObject } from 'zod';
import { declaredBy, inWords } from '../permissions/declared.ts';

const ROOT = join(import.meta.dirname, '../..');

const adapters = ['aws', 'azure', 'gcp'].flatMap((cloud) =>
  readdirSync(join(ROOT, 'adapters', cloud))
    .map((name) => `${cloud}/${name}`)
    .filter((adapter) => existsSync(join(ROOT, 'adapters', adapter, 'permissions.ts'))),
);

describe.each(adapters)('the permissions of %s', (adapter) => {
  it('are on its page as it declares them', async () => {
    const page = readFileSync(join(ROOT, 'docs/adapters', `${adapter.split('/')[1]}.md`), 'utf8');
    const [, said = ''] = /^\*\*Permissions\.\*\* (.*)$/m.exec(page) ?? [];
    const declared = inWords((await declaredBy(ROOT, adapter))!);
    expect(said.slice(0, declared.length)).toBe(declared);
  });

  it('that its verification has besides are named with what it makes', async () => {
    const verify = readFileSync(join(ROOT, 'docs/verify.md'), 'utf8');
    const row = verify
      .split('\n')
      .find((line) => line.startsWith('|') && line.includes(`\`${adapter.split('/')[1]}\``))!;
    const besides = (await declaredBy(ROOT, adapter))!.filter(({ isForVerification }) => isForVerification);
    for (const action of besides.flatMap(({ actions }) => actions)) expect(row.split('|').at(-2)).toContain(action);
  });

  it('are on what its settings name', async () => {
    const config = (await import(pathToFileURL(join(ROOT, 'adapters', adapter, 'config.ts')).href)) as object;
    const [, schema] = Object.entries(config).find(([name]) => name.endsWith('ConfigSchema')) as [string, ZodObject];
    const grants = (await declaredBy(ROOT, adapter))!;
    const named = grants.flatMap(({ on, note = '' }) =>
      [...`${on} ${note}`.matchAll(/<(\w+)>/g)].map(([, name]) => name!),
    );
    expect(Object.keys(schema.shape)).toEqual(expect.arrayContaining(named));
  });
});
