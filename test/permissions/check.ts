/**
 * Holds what each adapter of a cloud declares that it must be allowed to do to the calls that it makes of the SDK, found by their types: no more
 * and no less. Each fixture must be found wrong in the way that it is named for.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { declaredBy } from './declared.ts';
import { actionsOf } from './operations.ts';
import { adapterCalls, type AdapterCalls } from './sdk-calls.ts';

const project = join(import.meta.dirname, '../..');
const fixtures = join(import.meta.dirname, 'fixtures');
const EXPECTED: Readonly<Record<string, string>> = {
  'call-that-nobody-knows':
    'adapters/aws/bad-object-store calls client-sts AssumeRole: say in test/permissions/operations.ts which actions that demands',
  'declared-for-nothing': 'adapters/aws/bad-object-store declares s3:DeleteBucket, which none of its calls demands',
  'not-declared': 'adapters/aws/bad-object-store calls client-s3 GetObject: declare s3:GetObject in its permissions.ts',
  'without-declaration': 'adapters/aws/bad-object-store has no permissions.ts',
};

const trees = [project, ...readdirSync(fixtures).map((name) => join(fixtures, name))];
const calls = adapterCalls(project, trees);
const problems = await problemsOf(project);
for (const each of problems) console.error(each);
let failures = problems.length;
for (const name of readdirSync(fixtures)) {
  const found = await problemsOf(join(fixtures, name));
  if (found.length === 1 && found[0] === EXPECTED[name]) continue;
  failures += 1;
  console.error(
    `the fixture ${name} was to be found wrong so: ${EXPECTED[name]}\nit was: ${found.join('; ') || 'not'}`,
  );
}
const { size } = calls.get(project)!;
if (size === 0) throw new Error('no adapter was found that loads an SDK');
console.log(`permissions: ${size} adapters, ${trees.length - 1} fixtures; ${problems.length} problems in the tree`);
process.exit(failures > 0 ? 1 : 0);

async function problemsOf(tree: string): Promise<readonly string[]> {
  const adapters = [...calls.get(tree)!];
  const found = await Promise.all(adapters.map(([adapter, ofAdapter]) => problemsOfAdapter(tree, adapter, ofAdapter)));
  return found.flat();
}

async function problemsOfAdapter(tree: string, adapter: string, { used, others }: AdapterCalls): Promise<string[]> {
  const declared = await declaredBy(tree, adapter);
  if (!declared) return [`adapters/${adapter} has no permissions.ts`];
  const own = declared.filter(({ isForVerification }) => !isForVerification);
  const granted = new Set(own.flatMap(({ actions }) => actions));
  const demanded = new Set([...used].flatMap((operation) => actionsOf(operation) ?? []));
  const verified = new Set([...others].flatMap((operation) => actionsOf(operation) ?? []));
  const needless = declared
    .filter(({ note }) => note === undefined)
    .flatMap(({ actions, isForVerification }) =>
      actions.filter((action) => !(isForVerification ? verified : demanded).has(action)),
    );
  return [
    ...[...used].flatMap((operation) => problemsOfCall(adapter, operation, granted)),
    ...needless.map((action) => `adapters/${adapter} declares ${action}, which none of its calls demands`),
  ];
}

function problemsOfCall(adapter: string, operation: string, granted: ReadonlySet<string>): readonly string[] {
  const actions = actionsOf(operation);
  if (!actions)
    return [`adapters/${adapter} calls ${operation}: say in test/permissions/operations.ts which actions that demands`];
  return actions
    .filter((action) => !granted.has(action))
    .map((action) => `adapters/${adapter} calls ${operation}: declare ${action} in its permissions.ts`);
}
