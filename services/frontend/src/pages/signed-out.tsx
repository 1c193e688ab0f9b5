import { useEffect, useState } from 'react';
import type { SignInIssuers } from '../../../api-gateway/schemas/access.ts';
import type { ProblemType } from '../../../shared/http/problem-types.ts';
import { signInIssuers, type ApiError } from '../api.ts';

/** Why a sign-in at an issuer came to nothing, and what to do, by the type of the problem. */
const PROBLEMS: Partial<Record<ProblemType, readonly [what: string, remedy: string]>> = {
  'sign-in-attempt-invalid': [
    'That sign-in was not begun in this browser, was used already, or took longer than ten minutes.',
    'Sign in again, from this page.',
  ],
  'sign-in-cancelled': [
    'The sign-in was given up, or you were not let in there.',
    'Sign in again, with another account where you have one.',
  ],
  'sign-in-not-permitted': [
    'You are known there, but your account has no role at this platform.',
    'Ask whoever runs the platform, or your accounts, for a role; then sign in again.',
  ],
  'sign-in-unavailable': [
    'Where you would sign in does not answer, or refuses this platform.',
    'Try again in a while, or ask whoever runs the platform: the log says more, and a one-time link works meanwhile.',
  ],
  'rate-limited': ['There were too many sign-ins from your address.', 'Try again in a minute.'],
};
const UNKNOWN = [
  'The sign-in came to nothing.',
  'Try again; if it stays so, tell whoever runs the platform: the log says more.',
] as const;

interface Props {
  readonly reason: ApiError;
  /** The type of the problem that a sign-in at an issuer had. */
  readonly problem: string | undefined;
}

/** What somebody sees who is not signed in: why, and the ways in. */
export function SignedOut({ reason, problem }: Props) {
  const isAbsent = reason.status === undefined;
  const isNobody = reason.status === 401;
  const told =
    isNobody && problem !== undefined ? ((PROBLEMS as Record<string, typeof UNKNOWN>)[problem] ?? UNKNOWN) : undefined;
  return (
    <main className="signed-out">
      <h1>Tribo</h1>
      <p role="alert">{told?.[0] ?? (isNobody ? 'Nobody is signed in.' : reason.message)}</p>
      {told && <p>{told[1]}</p>}
      {isAbsent ? <p>{reason.remedy}</p> : <WaysIn />}
    </main>
  );
}

function WaysIn() {
  const [issuers, setIssuers] = useState<SignInIssuers['issuers']>([]);
  useEffect(() => {
    let isShown = true;
    void signInIssuers().then((found) => isShown && setIssuers(found));
    return () => {
      isShown = false;
    };
  }, []);
  return (
    <>
      {issuers.map(({ id, name }) => (
        <p key={id}>
          <a className="button" href={signInHref(id)}>
            Sign in with {name}
          </a>
        </p>
      ))}
      <p>
        {issuers.length > 0 ? 'Or open' : 'Open'} the one-time link that the platform printed when it started, or make a
        new one: <code>npx tribo token sign-in your-name --role operator</code>
      </p>
    </>
  );
}

/** Goes on where the person was. */
function signInHref(id: string): string {
  const query = new URLSearchParams({ returnTo: `/${location.hash}` });
  return `/v1/sign-in/${encodeURIComponent(id)}?${query.toString()}`;
}
