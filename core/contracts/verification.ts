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
  /** What a run asks for, where nothing is done without it: `--notify`. */
  readonly asksFor?: string;
  readonly contracts: readonly DeployedContract[];
  /** Removes what was left by the runs of which `isOver` holds, and returns how many things that were. */
  sweep(isOver: (run: string) => boolean): Promise<number>;
  close(): Promise<void>;
}

/** What a verification is made with. */
export interface VerificationTools {
  /** Of {@link newRun}: what the run makes is named with it. */
  readonly run: string;
  /** Whether people may be told something, that it is a test. */
  readonly notify: boolean;
  /** Whether it may make what the site's own may not be tried on, such as streams: whoever runs it has more rights than the services then. */
  readonly provision: boolean;
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

/** A look at what is deployed, of a port whose contract would disturb those who use it. */
export interface DeployedCheck {
  /** What holds: a specification in words. */
  readonly name: string;
  /** @throws PortError failed_precondition where what is deployed is not so, Unchecked where that cannot be seen. */
  run(): Promise<void>;
}

/** What nothing here looks at. */
export interface NotChecked {
  readonly name: string;
  readonly why: string;
  /** How somebody finds it out. */
  readonly byHand: string;
}

/** What a check throws that cannot see what it is to look at. */
export class Unchecked extends Error {
  override readonly name = 'Unchecked';

  constructor(why: string, byHand: string) {
    super(reasonOf({ why, byHand }));
  }
}

/** Looks in place of a contract, with what they do not look at told by name. */
export function deployedChecks(
  name: string,
  checks: readonly DeployedCheck[],
  notChecked: readonly NotChecked[] = [],
): DeployedContract {
  return {
    name,
    cases: [
      ...checks.map((check) => ({ name: check.name, leftOut: undefined, run: () => check.run() })),
      ...notChecked.map((each) => ({ name: each.name, leftOut: reasonOf(each), run: async () => undefined })),
    ],
  };
}

function reasonOf({ why, byHand }: Pick<NotChecked, 'why' | 'byHand'>): string {
  return `not checked, as ${why}; by hand: ${byHand}`;
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

/** Removes by one after the other, also where one fails, and returns how many things that were. @throws what the first of them failed with. */
export async function sweepEach(sweeps: readonly (() => Promise<number>)[]): Promise<number> {
  const failures: unknown[] = [];
  let removed = 0;
  for (const sweep of sweeps)
    try {
      removed += await sweep();
    } catch (error) {
      failures.push(error);
    }
  if (failures.length > 0) throw failures[0];
  return removed;
}

/** When a run began, in epoch milliseconds. */
export function beginOf(run: string): number {
  return Date.parse(run.replace(RUN, '$1-$2-$3T$4:$5:$6Z'));
}
