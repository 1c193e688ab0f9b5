/** Runs the tiers one after another, each within its budget of minutes, and prints the sum of their tests as the last line. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface Tier {
  readonly name: string;
  readonly command: readonly string[];
  readonly budgetMinutes: number;
  /** A jest tier counts its tests and fails when there were none; any other counts as one. */
  readonly jest?: true;
  /** A test that was skipped is a failure: what it would have shown is not shown. */
  readonly whole?: true;
}

const tiers: readonly Tier[] = [
  { name: 'check', command: ['npm', 'run', '--silent', 'check'], budgetMinutes: 6 },
  {
    name: 'unit, contract and end-to-end tests',
    command: ['npm', 'test', '--silent', '--'],
    budgetMinutes: 8,
    jest: true,
  },
  { name: 'browser', command: ['npm', 'run', '--silent', 'test:browser', '--'], budgetMinutes: 6, jest: true },
  {
    name: 'faults',
    command: ['npm', 'run', '--silent', 'test:faults', '--'],
    budgetMinutes: 15,
    jest: true,
    whole: true,
  },
  { name: 'short bench', command: ['npm', 'run', '--silent', 'bench', '--', 'pipeline', '--short'], budgetMinutes: 5 },
];

if (!existsSync(process.env['TRIBO_DATASETS'] ?? '')) {
  console.error(
    `The data sets are not at ${String(process.env['TRIBO_DATASETS'])}: set TRIBO_DATASETS. CI does not pass without them.`,
  );
  process.exit(1);
}

const results = mkdtempSync(join(tmpdir(), 'tribo-ci-'));
let passed = 0;
let failed = 0;
for (const tier of tiers) {
  console.log(`\n=== ${tier.name}`);
  const outputFile = join(results, 'jest.json');
  const began = performance.now();
  const code = await run(
    tier.jest ? [...tier.command, '--json', `--outputFile=${outputFile}`] : tier.command,
    tier.budgetMinutes,
  );
  const minutes = (performance.now() - began) / 60_000;
  const counts = tier.jest
    ? jestCounts(outputFile)
    : { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 };
  rmSync(outputFile, { force: true });
  const problems = [
    ...(counts.passed + counts.failed === 0 ? ['it ran no test'] : []),
    ...(tier.whole && counts.skipped > 0 ? [`${counts.skipped} of its tests were skipped`] : []),
    ...(code !== 0 && counts.failed === 0 ? [`it exited with ${String(code)}`] : []),
    ...(minutes > tier.budgetMinutes ? [`it took more than its ${tier.budgetMinutes} minutes`] : []),
  ];
  passed += counts.passed;
  failed += counts.failed + problems.length;
  console.log(
    `=== ${tier.name}: ${counts.passed} passed, ${counts.failed} failed, ${minutes.toFixed(1)} min${problems.map((each) => `; FAILED: ${each}`).join('')}`,
  );
}
rmSync(results, { recursive: true });
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);

/** Output of jest's --json goes to the file alone; standard output is for people. A tier far over its budget is ended. */
function run(command: readonly string[], budgetMinutes: number): Promise<number | null> {
  const [program = '', ...given] = command;
  const child = spawn(program, given, {
    stdio: ['ignore', 'inherit', 'inherit'],
    detached: true,
    env: { ...process.env, CI: 'true' },
  });
  const pid = child.pid;
  const timer = setTimeout(() => pid && process.kill(-pid, 'SIGKILL'), budgetMinutes * 1.5 * 60_000);
  return new Promise((resolve) => {
    child.on('exit', (code) => {
      clearTimeout(timer);
      resolve(code);
    });
  });
}

function jestCounts(file: string): { passed: number; failed: number; skipped: number } {
  if (!existsSync(file)) return { passed: 0, failed: 0, skipped: 0 };
  const report = JSON.parse(readFileSync(file, 'utf8')) as {
    numPassedTests: number;
    numFailedTests: number;
    numFailedTestSuites: number;
    numPendingTests: number;
    numTodoTests: number;
  };
  return {
    passed: report.numPassedTests,
    failed: Math.max(report.numFailedTests, report.numFailedTestSuites),
    skipped: report.numPendingTests + report.numTodoTests,
  };
}
