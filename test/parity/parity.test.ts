import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { capabilityMatrix } from './capability-matrix.ts';
import { collect, type Collected } from './collected.ts';
import { parityProblems } from './parity.ts';

const root = join(import.meta.dirname, '../..');
const fixtures = join(import.meta.dirname, 'fixtures');

/** What each fixture lacks: a check that cannot fail is no check. */
const LACKING: Readonly<Record<string, readonly string[]>> = {
  'nothing-missing': [],
  'port-without-contract': ['core/ports/lock-store.ts has no contract: write core/contracts/lock-store.contract.ts'],
  'contract-without-adapter': ['no adapter runs the contract of WatchableGauges'],
  'contract-of-no-port': ['core/contracts/gauge-store.contract.ts is about dial, which is no port'],
  'case-named-twice': ['the contract of gauge-store has two cases named "says nothing of what is not there"'],
  'adapter-without-contract': ['adapters/embedded/memory-gauge-store does not run the contract of gauge-store'],
  'adapter-of-no-port': ["adapters/embedded/file-helpers ends in no port's name: call it <service>-<port>"],
  'adapter-without-binding': [
    "adapters/embedded/file-gauge-store is bound nowhere: import it in its provider's module.ts",
  ],
  'provider-of-no-family': ['no site may choose of adapters/gauges: add it to FAMILIES in adapters/providers.ts'],
  'port-without-token': ['core/ports/gauge-store.ts has no token: add it to BoundPorts'],
  'token-without-binding': ["no provider's module.ts binds gaugeStore"],
};

const collectedOf = new Map<string, Collected>();
const problemsOf = (tree: string) => parityProblems(tree, collectedOf.get(tree)!);

beforeAll(async () => {
  const trees = [root, ...Object.keys(LACKING).map((fixture) => join(fixtures, fixture))];
  for (const [index, collected] of (await collect(trees)).entries()) collectedOf.set(trees[index]!, collected);
}, 120_000);

describe('parity of ports, contracts, adapters and bindings', () => {
  it('holds in the tree', () => {
    expect(problemsOf(root)).toEqual([]);
  });

  it.each(Object.entries(LACKING))('says what is missing in the fixture %s', (fixture, problems) => {
    expect(problemsOf(join(fixtures, fixture))).toEqual(problems);
  });

  it('says something of every fixture', () => {
    expect(readdirSync(fixtures).sort()).toEqual(Object.keys(LACKING).sort());
  });
});

describe('capability matrix', () => {
  it('is what the contracts and the adapters say now; else run `npm run docs:capabilities`', () => {
    expect(readFileSync(join(root, 'docs/capabilities.md'), 'utf8')).toBe(capabilityMatrix(collectedOf.get(root)!));
  });

  it('gives a provider that joins a column, an adapter without a power a no, and a waiver its reason', () => {
    const waivers = [{ case: 'keeps order', reason: 'the service keeps none' }];
    const collected: Collected = {
      contracts: [
        { file: 'gauge-store', port: 'gauge-store', cases: ['keeps bytes', 'keeps order'] },
        { file: 'gauge-store', port: 'gauge-store', capability: 'Watchable', cases: ['tells of a change | once'] },
      ],
      runs: [
        { adapter: 'embedded/file-gauge-store', label: 'files', port: 'gauge-store', waivers: [] },
        {
          adapter: 'embedded/file-gauge-store',
          label: 'files',
          port: 'gauge-store',
          capability: 'Watchable',
          waivers: [],
        },
        { adapter: 'aws/s3-gauge-store', label: 's3', port: 'gauge-store', waivers },
      ],
    };
    const lines = capabilityMatrix(collected).split('\n');
    expect(lines).toEqual(
      expect.arrayContaining([
        '| gauge-store | 2 | s3-gauge-store (1 waived) | file-gauge-store |',
        '| gauge-store: Watchable | 1 |  | file-gauge-store |',
        '| Case | aws/s3-gauge-store | embedded/file-gauge-store |',
        '| keeps bytes | yes | yes |',
        '| keeps order | waived | yes |',
        '| *Watchable*: tells of a change \\| once | no | yes |',
        '- aws/s3-gauge-store waives "keeps order": the service keeps none.',
      ]),
    );
  });
});
