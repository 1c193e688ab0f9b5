/**
 * Holds the tree to .dependency-cruiser.cjs, and each rule to a fixture that violates it: a rule that cannot fail is no rule. In a fixture
 * each file `bad*.ts` must be caught by the fixture's rule, and none with `good` in its path.
 */
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cruise, type ICruiseOptions, type ICruiseResult, type IConfiguration } from 'dependency-cruiser';

const root = fileURLToPath(new URL('../..', import.meta.url));
const fixtures = fileURLToPath(new URL('fixtures/', import.meta.url));
const configuration = createRequire(import.meta.url)('../../.dependency-cruiser.cjs') as IConfiguration;
const ruleNames = (configuration.forbidden ?? []).map((rule) => rule.name ?? '');

const present = readdirSync(root).filter((name) =>
  ['core', 'adapters', 'services', 'infra', 'bench', 'test'].includes(name),
);
const treeViolations = await violationsOf(root, present, 'test/(boundaries|parity|permissions)/fixtures');
for (const each of treeViolations) console.error(`${each.rule}: ${each.from} -> ${each.to}`);

let failures = treeViolations.length;
for (const rule of ruleNames) {
  const folder = `${fixtures}${rule}`;
  const found = await violationsOf(folder, readdirSync(folder));
  const caught = new Set(found.filter((each) => each.rule === rule).map((each) => each.from));
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  const missed = files.filter((file) => basename(file).startsWith('bad') && !caught.has(file));
  const wronged = files.filter((file) => file.includes('good') && caught.has(file));
  if (caught.size > 0 && missed.length + wronged.length === 0) continue;
  failures += 1;
  console.error(
    `${rule}: in its fixture ${missed.join(', ') || 'nothing'} was not caught that violates it, ${wronged.join(', ') || 'nothing'} was caught that does not (found: ${found.map((each) => `${each.rule}: ${each.from}`).join(', ') || 'nothing'})`,
  );
}
console.log(
  `boundaries: ${ruleNames.length} rules, each caught in its fixture; ${treeViolations.length} violations in the tree`,
);
process.exit(failures > 0 ? 1 : 0);

async function violationsOf(
  baseDir: string,
  roots: string[],
  exclude?: string,
): Promise<{ rule: string; from: string; to: string }[]> {
  const options: ICruiseOptions = {
    ...configuration.options,
    baseDir,
    validate: true,
    ruleSet: { forbidden: configuration.forbidden ?? [] },
    ...(exclude ? { exclude: { path: [exclude, 'services/frontend/dist', 'node_modules/.*/node_modules'] } } : {}),
  };
  const result = await cruise(roots, options, {
    conditionNames: ['import', 'node', 'default', 'types'],
    exportsFields: ['exports'],
  });
  const output = result.output as ICruiseResult;
  return output.summary.violations.map((each) => ({ rule: each.rule.name, from: each.from, to: each.to }));
}
