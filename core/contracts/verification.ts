import { randomBytes } from 'node:crypto';
import type { GetPort } from '../ports/tokens.ts';
import { checkWaivers, runContractCase, type Contract, type MakeHarness, type Waiver } from './contract.ts';

/**
 * How an adapter's contracts are run against what a site has deployed: beside what the site keeps there, under names that begin with the
 * run's, and removed afterwards. Opening it reaches nothing.
 */
export interface Verification {
  /** What the run makes and where, for who pays for it: `objects below akron/tribo-verify/ in bucket akron`. */
  readonly makes: string;
  /** What the role must be allowed to do for it, in the words of the provider. */
  readonly needs: string;
  readonly contracts: readonly DeployedContract[];
  /** Removes what was left by the runs of which `isOver` holds, and returns how many things that were. */
  sweep(isOver: (run: string) => boolean): Promise<number>;
  close(): Promise<void>;
}

/** What a verification is made with. */
export interface VerificationTools {
  /** Of {@link newRun}: what the run makes is named with it. */
  readonly run: string;
  /** Another port, which this machine has for the time of the run: what is verified is the one adapter. */
  readonly get: GetPort;
}

/** A contract that knows how its harness is made. */
export interface DeployedContract {
  /** Its port, or its capability: `object-store`. */
  readonly name: string;
  readonly cases: readonly DeployedCase[];
}

export interface DeployedCase {
  readonly name: string;
  /** Why it is not run against what is deployed; undefined where it is. */
  readonly leftOut: string | undefined;
  run(): Promise<void>;
}

/** `leftOut`: cases that need power over the service which a deployment must not give, or that the provider cannot pass, with the reason. */
export function deployedContract<Harness>(
  contract: Contract<Harness>,
  makeHarness: MakeHarness<Harness>,
  leftOut: readonly Waiver[] = [],
): DeployedContract {
  checkWaivers(contract, leftOut);
  return {
    name: contract.capability ?? contract.port,
    cases: contract.cases.map((each) => ({
      name: each.name,
      leftOut: leftOut.find((waiver) => waiver.case === each.name)?.reason,
      run: () => runContractCase(each, makeHarness),
    })),
  };
}

/** Begin of the names of what runs make, before the run's own. */
export const VERIFICATION_MARK = 'tribo-verify';

const RUN = /(\d{4})(\d\d)(\d\d)t(\d\d)(\d\d)(\d\d)z[0-9a-f]{6}/;
const MADE_BY_RUN = new RegExp(`${VERIFICATION_MARK.replace('-', '[-_]')}[-_/](${RUN.source})`);

/** Names a run by when it began, in letters and digits alone, which every service takes. */
export function newRun(nowMs: number): string {
  const begin = new Date(nowMs).toISOString().slice(0, 19).replaceAll(/[-:]/g, '').toLowerCase();
  return `${begin}z${randomBytes(3).toString('hex')}`;
}

/** Whether a run made what has this name, and one of which `isOver` holds. */
export function wasLeft(name: string, isOver: (run: string) => boolean): boolean {
  const run = MADE_BY_RUN.exec(name)?.[1];
  return run !== undefined && isOver(run);
}

/** When a run began, in epoch milliseconds. */
export function beginOf(run: string): number {
  return Date.parse(run.replace(RUN, '$1-$2-$3T$4:$5:$6Z'));
}
