import { decodeJwt } from 'jose';
import { PortError } from '#core/errors.ts';
import type { Identity, IdentityVerifier, IssuerVerifier, SignInIssuer } from '#core/ports/identity-verifier.ts';
import { MAX_TOKEN_LENGTH } from './jwks-identity-verifier/config.ts';

/** Longer than any issuer's address; of a longer one a caller is told the begin. */
const MAX_SHOWN = 200;

/**
 * One verifier of the tokens of several issuers: a token is judged by the verifier of the issuer that it names, and by no other, so that no
 * issuer can speak for another. The first is the site's own; whom another one names is told apart by it, `maria@id.example.com`, for no name
 * of the site's own has an `@`: so that nobody appears in the audit trail as somebody else.
 * @throws PortError failed_precondition where two of them judge the tokens of one issuer.
 */
export function verifierOf(verifiers: readonly IssuerVerifier[]): IdentityVerifier {
  const byIssuer = new Map(verifiers.map((each) => [each.issuer, each]));
  const twice = verifiers.find((each) => byIssuer.get(each.issuer) !== each);
  if (twice)
    throw new PortError(
      'failed_precondition',
      `two of the site's identityVerifiers are of the issuer ${twice.issuer}: name it once, with all its audiences`,
    );
  const [own, ...others] = verifiers;
  if (own && others.length === 0) return own;
  return {
    verify: async (token, options) => {
      const verifier = judgeOf(token, byIssuer);
      const identity = await verifier.verify(token, options);
      return verifier === own ? identity : ofIssuer(identity, verifier);
    },
  };
}

/** Why tokens of some of the issuers cannot be judged; undefined while those of all can. */
export function issuersProblem(verifiers: readonly IssuerVerifier[]): string | undefined {
  return verifiers.flatMap((each) => each.problem() ?? []).join('; ') || undefined;
}

/**
 * Those of a site's issuers that people sign in at, in its order. Whoever does is named as by {@link verifierOf}.
 * @throws PortError failed_precondition where two of them have one id.
 */
export function signInIssuersOf(verifiers: readonly IssuerVerifier[]): readonly SignInIssuer[] {
  const issuers = verifiers.filter(isSignInIssuer);
  const ids = issuers.map(({ signIn }) => signIn.id);
  const twice = ids.find((id, index) => ids.indexOf(id) !== index);
  if (twice !== undefined)
    throw new PortError(
      'failed_precondition',
      `two of the site's identityVerifiers have the signIn.id ${twice}: give each its own`,
    );
  return issuers.map((each) => ({
    issuer: each.issuer,
    signIn: each.signIn,
    problem: () => each.problem(),
    verify: (token, options) => each.verify(token, options),
    beginSignIn: (redirectUri, options) => each.beginSignIn(redirectUri, options),
    signOutUrl: (returnTo, options) => each.signOutUrl(returnTo, options),
    completeSignIn: async (answer, options) => ofIssuer(await each.completeSignIn(answer, options), each),
  }));
}

function isSignInIssuer(verifier: IssuerVerifier): verifier is SignInIssuer {
  return 'beginSignIn' in verifier && 'completeSignIn' in verifier;
}

function ofIssuer(identity: Identity, { issuer }: IssuerVerifier): Identity {
  return { ...identity, subject: `${identity.subject}@${issuer.replace(/^https?:\/\//, '')}` };
}

function judgeOf(token: string, byIssuer: ReadonlyMap<string, IssuerVerifier>): IssuerVerifier {
  const issuer = issuerIn(token);
  const verifier = byIssuer.get(issuer);
  if (verifier) return verifier;
  const shown = JSON.stringify(issuer.slice(0, MAX_SHOWN));
  throw new PortError('permission_denied', `its issuer ${shown} is none that this site trusts`);
}

/** What the token says, which nobody has checked yet: it chooses who checks it. */
function issuerIn(token: string): string {
  if (token.length > MAX_TOKEN_LENGTH) throw new PortError('permission_denied', 'the token is too long');
  try {
    const { iss } = decodeJwt(token);
    if (typeof iss === 'string') return iss;
  } catch {
    throw new PortError('permission_denied', 'it is not a signed token');
  }
  throw new PortError('permission_denied', 'it does not say which issuer it is of');
}
