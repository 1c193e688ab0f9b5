import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from '@jest/globals';

const MB = 1_000_000;
const ALL_UNDER_MB = 650;
const PRODUCTION_UNDER_MB = 450;

const root = fileURLToPath(new URL('../..', import.meta.url));

const counted = new Set<number>();

interface LockedPackage {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

type Packages = Readonly<Record<string, LockedPackage>>;

it(`installs under ${ALL_UNDER_MB} MB, and under ${PRODUCTION_UNDER_MB} MB without dev dependencies`, () => {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as { packages: Packages };
  const { dependencies = {}, devDependencies = {} } = packages['']!;
  const ofProduction = neededBy(packages, { dependencies });
  const installed = [...neededBy(packages, { dependencies: { ...dependencies, ...devDependencies } })]
    .filter((path) => existsSync(join(root, path)))
    .map((path) => ({ path, isDev: !ofProduction.has(path), bytes: ownBytes(join(root, path)) }));
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

/** Places of the packages that somebody at the root needs, whatever else is there: the SDKs of the clouds, which `npm ci` leaves out. */
function neededBy(packages: Packages, root: LockedPackage): ReadonlySet<string> {
  const found = new Set<string>();
  const visit = (place: string, { dependencies, optionalDependencies, peerDependencies }: LockedPackage): void => {
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })) {
      const needed = resolve(packages, place, name);
      if (needed === undefined || found.has(needed)) continue;
      found.add(needed);
      visit(needed, packages[needed]!);
    }
  };
  visit('', root);
  return found;
}

/** As Node.js looks for it, from the innermost folder outwards. */
function resolve(packages: Packages, from: string, name: string): string | undefined {
  const here = `${from}${from && '/'}node_modules/${name}`;
  if (here in packages) return here;
  return from === ''
    ? undefined
    : resolve(packages, from.slice(0, Math.max(0, from.lastIndexOf('/node_modules/'))), name);
}

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
