import { isPortError } from '#core/errors.ts';
import { HttpProblem } from '../../shared/http/problem.ts';
import type { Call } from './route.ts';

/** What a conditional write expects (RFC 9110): a version, that there is something, or that there is nothing yet. */
export type Expectation = { readonly version: number } | 'exists' | 'absent' | undefined;

export function etagOf(version: number): string {
  return `"${version}"`;
}

/** Reads If-Match and If-None-Match. @throws HttpProblem precondition-failed for an ETag that is none of ours. */
export function expectationOf(call: Pick<Call, 'header'>): Expectation {
  const ifMatch = call.header('if-match')?.trim();
  const ifNoneMatch = call.header('if-none-match')?.trim();
  if (ifNoneMatch === '*') return 'absent';
  if (ifMatch === undefined) return undefined;
  if (ifMatch === '*') return 'exists';
  const [, version] = /^(?:W\/)?"(\d{1,15})"$/.exec(ifMatch) ?? [];
  if (version === undefined) throw preconditionFailed('If-Match holds no ETag that was ever given out here.');
  return { version: Number(version) };
}

/**
 * The version that a write must find: 0 where there must be none. A write that would replace something without saying what is refused, so
 * that nobody overwrites what they have not seen.
 * @throws HttpProblem precondition-required, precondition-failed.
 */
export function expectedVersion(call: Pick<Call, 'header'>, present: number): number {
  const expectation = expectationOf(call);
  if (expectation === undefined && present !== 0) {
    throw new HttpProblem('precondition-required', {
      detail: 'It is there already, and the request does not say which version of it it means.',
      pointer: 'header:if-match',
      remedy: `Read it, and send its ETag as If-Match; at present it is ${etagOf(present)}.`,
    });
  }
  const expected =
    expectation === undefined || expectation === 'absent'
      ? 0
      : expectation === 'exists'
        ? present
        : expectation.version;
  if (expected !== present || (expectation === 'exists' && present === 0)) {
    throw preconditionFailed(present === 0 ? 'There is none.' : `At present its ETag is ${etagOf(present)}.`);
  }
  return expected;
}

/** Somebody else may have been faster between the reading and the writing. @throws HttpProblem precondition-failed. */
export async function conditional<Result>(write: () => Promise<Result>): Promise<Result> {
  try {
    return await write();
  } catch (error) {
    if (isPortError(error) && error.code === 'failed_precondition') throw preconditionFailed(error.message);
    throw error;
  }
}

export function preconditionFailed(detail: string): HttpProblem {
  return new HttpProblem('precondition-failed', {
    detail,
    pointer: 'header:if-match',
    remedy: 'Read it again, decide again, and send its present ETag.',
  });
}
