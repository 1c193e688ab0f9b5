import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from '@jest/globals';

const MB = 1_000_000;
const ALL_UNDER_MB = 650;
const PRODUCTION_UNDER_MB = 450;

const root = fileURLToPath(new URL('../..', import.meta.url));

const counted = new Set<number>();

interface Lock {
  readonly packages: Readonly<Record<string, { readonly dev?: boolean; readonly devOptional?: boolean }>>;
}

it(`installs under ${ALL_UNDER_MB} MB, and under ${PRODUCTION_UNDER_MB} MB without dev dependencies`, () => {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as Lock;
  const installed = Object.entries(packages)
    .filter(([path]) => path !== '' && existsSync(join(root, path)))
    .map(([path, entry]) => ({ path, isDev: entry.dev === true, bytes: ownBytes(join(root, path)) }));
  const all = sum(installed.map((each) => each.bytes));
  const production = sum(installed.filter((each) => !each.isDev).map((each) => each.bytes));
  const largest = installed.sort((a, b) => b.bytes - a.bytes).slice(0, 12);
  console.log(
    [
      `npm ci installs ${(all / MB).toFixed(0)} MB in ${installed.length} packages; without dev dependencies ${(production / MB).toFixed(0)} MB`,
      ...largest.map(
        (each) =>
          `${(each.bytes / MB).toFixed(1).padStart(7)} MB  ${each.path.replace('node_modules/', '')}${each.isDev ? ' (dev)' : ''}`,
      ),
    ].join('\n'),
  );
  expect(all / MB).toBeLessThan(ALL_UNDER_MB);
  expect(production / MB).toBeLessThan(PRODUCTION_UNDER_MB);
});

/** Bytes of the package's own files, hard links once. Packages nested in it are counted by themselves, unless its install script put them there. */
function ownBytes(folder: string): number {
  const files = readdirSync(folder, { withFileTypes: true }).filter(
    (entry) => entry.name !== 'node_modules' || folder.endsWith('/node'),
  );
  return sum(
    files.map((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return ownBytes(path);
      const { ino, size } = lstatSync(path);
      if (counted.has(ino)) return 0;
      counted.add(ino);
      return size;
    }),
  );
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
