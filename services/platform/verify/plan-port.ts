import { messageOf } from '#core/errors.ts';
import { nothingRuns, type LeftOutCase, type PortToVerify } from './verify-port.ts';

/** What `verifyPort` would do. */
export interface PortPlan {
  readonly port: string;
  readonly adapter: string;
  /** Those that are run. */
  readonly cases: number;
  readonly leftOut: readonly LeftOutCase[];
  readonly makes: string;
  readonly needs: string;
  /** Why it cannot be done. */
  readonly problem?: string;
}

/** Tells what `verifyPort` would do, and reaches nothing. Never rejects. */
export async function planPort({ port, adapter, open }: PortToVerify): Promise<PortPlan> {
  const nothing = { port, adapter, cases: 0, leftOut: [], makes: '', needs: '' };
  if (!open) return { ...nothing, problem: nothingRuns(adapter) };
  try {
    const verification = await open();
    await verification.close();
    const { contracts, makes, needs } = verification;
    const all = contracts.flatMap(({ name, cases }) => cases.map((each) => ({ contract: name, each })));
    const leftOut = all.flatMap(({ contract, each: { name, leftOut: reason } }) =>
      reason === undefined ? [] : [{ contract, case: name, reason }],
    );
    return { port, adapter, cases: all.length - leftOut.length, leftOut, makes, needs };
  } catch (error) {
    return { ...nothing, problem: messageOf(error) };
  }
}
