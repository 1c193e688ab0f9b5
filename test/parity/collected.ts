import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Waiver } from '#core/contracts/contract.ts';

/** What a tree's contracts ask, and which adapter's tests run them: found by loading both, so that it is what really runs. */
export interface Collected {
  readonly contracts: readonly CollectedContract[];
  readonly runs: readonly ContractRun[];
}

export interface CollectedContract {
  /** Base name of its file: `event-stream` of core/contracts/event-stream.contract.ts. */
  readonly file: string;
  readonly port: string;
  readonly capability?: string;
  readonly cases: readonly string[];
}

/** One use of a contract by an adapter's test. */
export interface ContractRun {
  /** The adapter's folder below adapters/, such as `embedded/lmdb-event-stream`. */
  readonly adapter: string;
  /** What the test calls this run of it. */
  readonly label: string;
  readonly port: string;
  readonly capability?: string;
  readonly waivers: readonly Waiver[];
}

/** Collects of each tree, in a process of its own: there the tests are loaded without a test runner. */
export async function collect(roots: readonly string[]): Promise<readonly Collected[]> {
  const program = join(import.meta.dirname, 'collect.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [program, ...roots], { maxBuffer: 2 ** 24 });
  return JSON.parse(stdout) as readonly Collected[];
}
