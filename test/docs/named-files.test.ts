import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const project = join(import.meta.dirname, '../..');
const PAGES = ['docs/security.md', 'docs/dr.md', 'docs/deployment.md'];

describe.each(PAGES)('%s', (page) => {
  const text = readFileSync(join(project, page), 'utf8');

  it('names files and folders that there are', () => {
    const named = [
      ...text.matchAll(/(?<![\w./<-])(?:infra|test|services|core|docs|adapters|environments|\.github)\/[\w./*-]*\w/g),
    ].map(([path]) => path);
    // What somebody synthesizes or builds is not there before.
    const written = named.filter((path) => !path.startsWith('infra/out'));
    expect(written.length).toBeGreaterThan(0);
    expect(written.filter((path) => globSync(path, { cwd: project }).length === 0)).toEqual([]);
  });

  it('links to pages that there are', () => {
    const linked = [...text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, path]) =>
      join(project, page, '..', path!),
    );
    expect(linked.filter((path) => globSync(path).length === 0)).toEqual([]);
  });
});
