/**
 * Prints as JSON, for each tree it is given, what its contracts ask and which adapters run them. The adapters' tests are loaded with recorders in the place of
 * the test runner and of describeContract: whatever a test says by running, it says here too, and no case runs.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Contract, Waiver } from '#core/contracts/contract.ts';
import type { Collected, CollectedContract, ContractRun } from './collected.ts';

let runs: ContractRun[] = [];
let adapter = '';

const recorders = {
  describeContract: (contract: Contract<never>, label: string, _harness: unknown, waivers: readonly Waiver[] = []) => {
    const { port, capability } = contract;
    runs.push({ adapter, label, port, ...(capability !== undefined && { capability }), waivers });
  },
  describe: Object.assign((_name: string, body: () => unknown) => body(), {
    each: (rows: readonly unknown[]) => (_name: string, body: (...row: unknown[]) => unknown) => {
      for (const row of rows) body(...(Array.isArray(row) ? (row as unknown[]) : [row]));
    },
    skip: () => undefined,
  }),
};
Object.assign(globalThis, { triboRecorders: recorders });

const inert = 'const inert = new Proxy(() => inert, { get: () => inert });';
const REPLACED: Readonly<Record<string, string>> = {
  '@jest/globals': `${inert} export const { describe } = globalThis.triboRecorders;
    ${['it', 'test', 'expect', 'jest', 'beforeAll', 'beforeEach', 'afterAll', 'afterEach'].map((name) => `export const ${name} = inert;`).join('')}`,
  '#test/support/describe-contract.ts': 'export const { describeContract } = globalThis.triboRecorders;',
};

registerHooks({
  resolve: (specifier, context, nextResolve) => {
    const source = REPLACED[specifier];
    if (source === undefined) return nextResolve(specifier, context);
    return { url: `data:text/javascript,${encodeURIComponent(source)}`, shortCircuit: true };
  },
});

const collected: Collected[] = [];
for (const root of process.argv.slice(2)) collected.push(await collectOf(root));
process.stdout.write(JSON.stringify(collected));

async function collectOf(root: string): Promise<Collected> {
  runs = [];
  for (const test of testsThatRunContracts(root)) {
    const [provider, folder] = test.split('/');
    adapter = `${provider}/${folder}`;
    await import(pathToFileURL(join(root, 'adapters', test)).href);
  }
  return { contracts: await contractsOf(join(root, 'core/contracts')), runs };
}

function testsThatRunContracts(root: string): readonly string[] {
  const files = readdirSync(join(root, 'adapters'), { recursive: true, encoding: 'utf8' });
  const isRunning = (file: string) => readFileSync(join(root, 'adapters', file), 'utf8').includes('describeContract(');
  return files.filter((file) => file.endsWith('.test.ts') && isRunning(file)).sort();
}

async function contractsOf(folder: string): Promise<readonly CollectedContract[]> {
  const found: CollectedContract[] = [];
  for (const name of readdirSync(folder).sort()) {
    if (!name.endsWith('.contract.ts')) continue;
    const exported = (await import(pathToFileURL(join(folder, name)).href)) as Readonly<Record<string, unknown>>;
    for (const contract of Object.values(exported).filter(isContract)) {
      const { port, capability, cases } = contract;
      const names = cases.map((each) => each.name);
      const file = basename(name, '.contract.ts');
      found.push({ file, port, ...(capability !== undefined && { capability }), cases: names });
    }
  }
  return found;
}

function isContract(value: unknown): value is Contract<never> {
  return typeof value === 'object' && value !== null && 'port' in value && 'cases' in value;
}
