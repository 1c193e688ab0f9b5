import { AssertionError } from 'node:assert';
import { beginOf, Unchecked, type DeployedCase, type Verification } from '#core/contracts/verification.ts';
import { retry, type RetryPolicy } from '#core/delivery/retry.ts';
import { codeOf, isRetryable, messageOf, type PortErrorCode } from '#core/errors.ts';
import { Overdue, SWEEP_WITHIN_MS, within } from './within.ts';

/** A port of the site that has an adapter from elsewhere. */
export interface PortToVerify {
  readonly port: string;
  readonly adapter: string;
  /** Absent where nothing runs the adapter's contract against what is deployed. */
  readonly open?: () => Promise<Verification>;
}

/** A case that did not pass. */
export interface FailedCase {
  readonly contract: string;
  readonly case: string;
  /** What was expected and what came, or what the service said. */
  readonly problem: string;
  readonly remedy: string;
}

export interface LeftOutCase {
  readonly contract: string;
  readonly case: string;
  readonly reason: string;
}

/** What the contracts of one port came to. */
export interface PortVerdict {
  readonly port: string;
  readonly adapter: string;
  /** All cases that were to run ran and passed, at least one, or none was asked for; and nothing of them is left. */
  readonly ok: boolean;
  /** What the run asks for, where nothing of this port was looked at without it: `--notify`. */
  readonly asksFor?: string;
  readonly passed: number;
  readonly failed: readonly FailedCase[];
  /** Not run against what is deployed, and why. */
  readonly leftOut: readonly LeftOutCase[];
  /** After failures that the rest would have had as well, or an interruption. */
  readonly notRun: number;
  /** What is wrong beside the cases: they could not begin, or what they made is still there. */
  readonly problems: readonly string[];
  /** What earlier runs had left, and was removed. */
  readonly removedOfEarlier: number;
  readonly seconds: number;
}

/** One case that takes longer hangs. */
const CASE_WITHIN_MS = 300_000;
/** Adapters make one attempt, and of a thousand requests over a network one fails: what may pass is tried again. */
const ATTEMPTS: RetryPolicy = { maxAttempts: 3, firstDelayMs: 200, longestDelayMs: 2_000 };
/** After so many cases that the service itself failed, one after the other, the rest would say the same. */
const SAME_IN_A_ROW = 3;
const DAY_MS = 86_400_000;

/** Runs the contracts of a port's adapter against what is deployed, one case after the other, and removes what they made. Never rejects. */
export async function verifyPort(
  { port, adapter, open }: PortToVerify,
  run: string,
  { signal, onCase }: { readonly signal: AbortSignal; readonly onCase: (fraction: number, name: string) => void },
): Promise<PortVerdict> {
  const beganMs = performance.now();
  const outcome = { passed: 0, failed: [] as FailedCase[], leftOut: [] as LeftOutCase[], notRun: 0 };
  const problems: string[] = [];
  let removedOfEarlier = 0;
  let asksFor: string | undefined;
  try {
    if (!open) throw new Error(nothingRuns(adapter));
    const verification = await open();
    try {
      // What cannot be listed now fails the cases as well.
      removedOfEarlier = await within(
        SWEEP_WITHIN_MS,
        retry(() => verification.sweep(isOlderThanADay), ATTEMPTS),
      ).catch(() => 0);
      await runCases(verification, outcome, signal, onCase);
    } finally {
      await within(
        SWEEP_WITHIN_MS,
        retry(() => verification.sweep((each) => each === run), ATTEMPTS),
      ).catch((error: unknown) => problems.push(`what run ${run} made may still be there: ${messageOf(error)}`));
      await verification.close();
    }
    if (outcome.passed + outcome.failed.length + outcome.notRun === 0) {
      asksFor = verification.asksFor;
      if (asksFor === undefined) problems.push('no case could be run');
    }
  } catch (error) {
    problems.push(messageOf(error));
  }
  return {
    ...{ port, adapter, ...outcome, problems, removedOfEarlier },
    ...(asksFor !== undefined && { asksFor }),
    ok: problems.length + outcome.failed.length + outcome.notRun === 0,
    seconds: Math.round((performance.now() - beganMs) / 100) / 10,
  };
}

/** Of an adapter that no verification is written for. */
export function nothingRuns(adapter: string): string {
  return `nothing runs the contract of ${adapter} against what is deployed`;
}

async function runCases(
  { contracts, needs }: Verification,
  outcome: { passed: number; notRun: number; readonly failed: FailedCase[]; readonly leftOut: LeftOutCase[] },
  signal: AbortSignal,
  onCase: (fraction: number, name: string) => void,
): Promise<void> {
  const all = contracts.flatMap(({ name, cases }) => cases.map((each) => ({ contract: name, each })));
  let refusals = 0;
  for (const [index, { contract, each }] of all.entries()) {
    const place = { contract, case: each.name };
    if (each.leftOut !== undefined) outcome.leftOut.push({ ...place, reason: each.leftOut });
    else if (signal.aborted || refusals === SAME_IN_A_ROW) outcome.notRun++;
    else {
      onCase(index / all.length, each.name);
      const failure = await failureOf(each, signal);
      if (failure === 'interrupted') outcome.notRun++;
      else if (failure?.error instanceof Unchecked) outcome.leftOut.push({ ...place, reason: failure.error.message });
      else if (!failure) {
        outcome.passed++;
        refusals = 0;
      } else {
        const { error } = failure;
        outcome.failed.push({ ...place, problem: problemOf(error), remedy: remedyOf(error, needs) });
        // A case that hangs goes on in the background: others beside it would say nothing.
        if (error instanceof Overdue) refusals = SAME_IN_A_ROW;
        else refusals = isOfContract(error) ? 0 : refusals + 1;
      }
    }
  }
}

async function failureOf(
  each: DeployedCase,
  signal: AbortSignal,
): Promise<{ readonly error: unknown } | 'interrupted' | undefined> {
  const attempt = () =>
    each.run().then(
      () => undefined,
      (error: unknown) => {
        if (isRetryable(error)) throw error;
        return { error };
      },
    );
  const failure = await within(CASE_WITHIN_MS, retry(attempt, ATTEMPTS), signal).catch((error: unknown) => ({ error }));
  return signal.aborted ? 'interrupted' : failure;
}

function isOlderThanADay(run: string): boolean {
  return beginOf(run) < Date.now() - DAY_MS;
}

function isOfContract(error: unknown): boolean {
  return error instanceof AssertionError;
}

const LINES_SHOWN = 12;

function problemOf(error: unknown): string {
  const lines = messageOf(error).split('\n');
  const shown = lines.slice(0, LINES_SHOWN).join('\n');
  const more = lines.length > LINES_SHOWN ? '\n...' : '';
  return isOfContract(error) || error instanceof Overdue ? `${shown}${more}` : `${codeOf(error)}: ${shown}${more}`;
}

const REMEDIES: Readonly<Partial<Record<PortErrorCode, string>>> = {
  failed_precondition: "deploy what it names, or correct the section of the port in the site's file",
  not_found: "deploy what it names, or correct the section of the port in the site's file",
  unavailable: 'see that the service runs and can be reached from here, then run it again',
  deadline_exceeded: 'see that the service runs and can be reached from here, then run it again',
  resource_exhausted: 'raise the quota of the service, or run it when nobody else uses it',
};

function remedyOf(error: unknown, needs: string): string {
  if (isOfContract(error)) return 'the service does not do what the platform relies on: do not run a site on it';
  if (error instanceof Overdue) return REMEDIES.unavailable!;
  const code = codeOf(error);
  if (code === 'permission_denied') return `the role needs: ${needs}`;
  return REMEDIES[code] ?? 'see the page of the adapter in docs/adapters';
}
