import type { CallOptions } from '../errors.ts';
import type { TenantId } from '../domain/ids.ts';
import type { Role } from '../domain/role.ts';

/** Tells who sent a bearer token. The tenant comes from a signed claim, never from anything else of a request. */
export interface IdentityVerifier {
  /**
   * Checks signature (asymmetric algorithms of an allow-list only), `iss`, `aud`, `exp`, `nbf`, and that tenant and roles are among the
   * claims. Keys are fetched from the issuer and kept; an unknown key id makes it look again, at most once in a while.
   * @throws PortError permission_denied (the message says why, and never repeats the token), unavailable (no keys could be fetched).
   */
  verify(token: string, options?: CallOptions): Promise<Identity>;
}

/** Judges the tokens of one issuer. A site that trusts several issuers has one of each. */
export interface IssuerVerifier extends IdentityVerifier {
  /** Exactly the `iss` of the tokens that it judges; it refuses all others. */
  readonly issuer: string;
  /** Why its tokens cannot be judged, or not by its newest keys, in words for an operator; undefined while they can, or none was brought. */
  problem(): string | undefined;
}

/**
 * An issuer that people sign in at with a browser: the authorization code flow with PKCE, state and nonce (OpenID Connect Core 3.1, RFC 9700).
 * It keeps nothing between the two calls: whoever calls remembers the attempt where that browser alone has it.
 */
export interface SignInIssuer extends IssuerVerifier {
  readonly signIn: SignInOffer;
  /**
   * Where to send the browser, and what to remember until it comes back to `redirectUri`, which the issuer knows exactly so.
   * @throws PortError failed_precondition (the client's secret is missing), unavailable, deadline_exceeded.
   */
  beginSignIn(redirectUri: string, options?: CallOptions): Promise<SignInRequest>;
  /**
   * Redeems the code that the browser came back with, and tells who signed in by the mapping of claims that the issuer's tokens are read by.
   * @throws PortError invalid_argument (not the answer to this attempt, of another issuer, or its code is used up), permission_denied (the
   * issuer lets nobody in, or who signed in has no role here), failed_precondition (the issuer refuses this client), unavailable,
   * deadline_exceeded. No message has a token, a code or a secret in it.
   */
  completeSignIn(answer: SignInAnswer, options?: CallOptions): Promise<Identity>;
  /**
   * Where to send a browser that has signed out here, so that its session at the issuer ends too; from there it comes back to `returnTo`, which
   * the issuer knows exactly so. It may ask the person first. Undefined where the issuer has no such place, or the site leaves that session.
   * @throws PortError failed_precondition, unavailable, deadline_exceeded.
   */
  signOutUrl(returnTo: string, options?: CallOptions): Promise<string | undefined>;
}

/** How an issuer is offered to people. */
export interface SignInOffer {
  /** In addresses: unique at a site. */
  readonly id: string;
  /** In words: `Sign in with <name>`. */
  readonly name: string;
  /** How long a session lasts that is begun by it: until then nobody asks the issuer whether the person is still let in. */
  readonly sessionMs: number;
}

/** What one browser must bring back, each unguessable and for one attempt. */
export interface SignInAttempt {
  readonly state: string;
  readonly nonce: string;
  /** Of PKCE: nobody may redeem the code without it. */
  readonly codeVerifier: string;
}

/** Where a browser is sent. */
export interface SignInRequest {
  readonly url: string;
  readonly attempt: SignInAttempt;
}

/** What a browser came back with. */
export interface SignInAnswer {
  readonly redirectUri: string;
  /** The query that it came with: `code` and `state`, or `error`; `iss` (RFC 9207). */
  readonly parameters: Readonly<Record<string, string>>;
  readonly attempt: SignInAttempt;
}

/** Who somebody is, and what they may do for how long. */
export interface Identity {
  readonly subject: string;
  readonly tenant: TenantId;
  readonly roles: readonly Role[];
  /** The token's own id, `jti`; absent where the issuer gives none. */
  readonly tokenId?: string;
  readonly expiresAtMs: number;
}
