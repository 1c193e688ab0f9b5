const { readdirSync } = require('node:fs');
const { join } = require('node:path');

/** The boundaries of docs/architecture.md. Each rule has a fixture under test/boundaries/fixtures that violates it and must be caught. */
const TESTS = '(^|/)test/|\\.test\\.ts$|(^|/)bench/';
/** What `sdks/` installs, by scope or name. */
const OF_SDKS = readdirSync(join(__dirname, 'sdks')).flatMap((provider) => {
  const { dependencies, devDependencies } = require(`./sdks/${provider}/package.json`);
  const names = Object.keys({ ...dependencies, ...devDependencies }).filter((name) => !name.startsWith('@types/'));
  return names.map((name) => name.replace(/^(@[^/]+)\/.*/, '$1').replaceAll('.', '\\.'));
});
const STORAGE = ['aedes', 'lmdb', '@duckdb', 'kysely', 'onnxruntime-web', 'nodemailer'];
const STORAGE_AND_CLOUD = `^(node:sqlite|sqlite)$|(^|node_modules/)(${[...new Set([...STORAGE, ...OF_SDKS])].join('|')})(/|$)`;

module.exports = {
  forbidden: [
    {
      name: 'core-imports-only-core',
      comment: 'Core states its needs as ports; it imports core and small pure libraries.',
      severity: 'error',
      from: { path: '^core/', pathNot: TESTS },
      to: {
        pathNot: [
          '^core/',
          '^(node:)?(crypto|buffer|assert|assert/strict)$',
          'node_modules/(zod|fft\\.js|p-retry)(/|$)',
        ],
      },
    },
    {
      name: 'sdks-only-in-adapters',
      comment: 'Storage engines, brokers and cloud SDKs are the business of adapters.',
      severity: 'error',
      from: { pathNot: ['^adapters/', TESTS] },
      to: { path: STORAGE_AND_CLOUD },
    },
    {
      name: 'adapters-know-their-own-provider',
      comment:
        'An adapter imports core, its own provider and protocols that several share (adapters/sql, adapters/oidc, what all modules share), never another provider.',
      severity: 'error',
      from: { path: '^adapters/([^/]+)/', pathNot: TESTS },
      to: {
        path: '^adapters/',
        pathNot: ['^adapters/$1/', '^adapters/(sql|oidc|kafka|postgres)/', '^adapters/[^/]+\\.ts$'],
      },
    },
    {
      name: 'adapters-do-not-import-services',
      comment: 'Arrows point inward.',
      severity: 'error',
      from: { path: '^adapters/', pathNot: TESTS },
      to: { path: '^services/' },
    },
    {
      name: 'adapters-are-bound-in-composition',
      comment:
        'composition.ts is the only importer of adapters in a service, so that a provider is one choice in one place.',
      severity: 'error',
      from: { path: '^services/', pathNot: ['/composition\\.ts$', TESTS] },
      to: { path: '^adapters/' },
    },
    {
      name: 'cdktf-only-in-infra',
      severity: 'error',
      comment: 'Provisioning is a package of its own.',
      from: { pathNot: '^infra/' },
      to: { path: '(^|node_modules/)(cdktf|@cdktf|constructs)(/|$)' },
    },
    {
      name: 'infra-reads-only-adapter-configuration',
      comment:
        "A stack's outputs are the adapter's configuration, its roles what the adapter declares; beside these what of IoT Core only a stack can make.",
      severity: 'error',
      // What applies the stacks to try them runs the platform's own commands on what came of it.
      from: { path: '^infra/', pathNot: [TESTS, '^infra/verify/'] },
      // What a site is and where it was decided to be is what stacks are made of.
      to: {
        path: '^(adapters|services|core)/',
        pathNot: [
          '^adapters/[^/]+/[^/]+/(config|permissions|device-policy|topic-rules)\\.ts$',
          '^adapters/permissions\\.ts$',
          '^core/(decision/|domain/(role|event)\\.ts$)',
          '^services/shared/environments/',
          // Names that are the same in the code and in what is provisioned: columns of what is exported, groups that read streams, the platform at a broker.
          '^adapters/sql/reserved-device-ids\\.ts$',
          '^adapters/history-parts\\.ts$',
          '^services/shared/observability/stream-lag\\.ts$',
        ],
      },
    },
    {
      name: 'no-cycles',
      comment: 'A cycle hides which side owns the idea.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'product-does-not-import-tests',
      comment: 'What ships stands without the tests, the benchmarks and the development tools.',
      severity: 'error',
      // Programs in `processes` are for tests to start and kill.
      from: { path: '^(core|adapters|services)/', pathNot: [TESTS, '^adapters/.+/processes/', '^services/frontend/'] },
      to: { path: '^(test|bench)/', pathNot: '\\.test\\.ts$' },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: ['services/frontend/dist'] },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
};
