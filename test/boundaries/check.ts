/** Holds the tree to .dependency-cruiser.cjs, and each rule to a fixture that violates it: a rule that cannot fail is no rule. */
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { cruise, type ICruiseOptions, type ICruiseResult, type IConfiguration } from 'dependency-cruiser';

const root = fileURLToPath(new URL('../..', import.meta.url));
const fixtures = fileURLToPath(new URL('fixtures/', import.meta.url));
const configuration = createRequire(import.meta.url)('../../.dependency-cruiser.cjs') as IConfiguration;
const ruleNames = (configuration.forbidden ?? []).map((rule) => rule.name ?? '');

const present = readdirSync(root).filter((name) =>
  ['core', 'adapters', 'services', 'infra', 'bench', 'test'].includes(name),
);
const treeViolations = await violationsOf(root, present, 'test/(boundaries|parity)/fixtures');
for (const each of treeViolations) console.error(`${each.rule}: ${each.from} -> ${each.to}`);

let failures = treeViolations.length;
for (const rule of ruleNames) {
  const folder = `${fixtures}${rule}`;
  const found = await violationsOf(folder, readdirSync(folder));
  if (!found.some((each) => each.rule === rule)) {
    failures += 1;
    console.error(
      `${rule}: its fixture violates it and was not caught (found: ${found.map((each) => each.rule).join(', ') || 'nothing'})`,
    );
  }
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
