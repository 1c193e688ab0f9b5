import { systemClock, type Clock } from '#core/clock.ts';
import { PortError, type CallOptions } from '#core/errors.ts';
import type {
  Identity,
  SignInAnswer,
  SignInIssuer,
  SignInOffer,
  SignInRequest,
} from '#core/ports/identity-verifier.ts';
import type { SecretStore } from '#core/ports/secret-store.ts';
import { CodeFlow } from './code-flow.ts';
import type { JwksIdentityVerifierConfig, SignInConfig } from './config.ts';
import { JwksIdentityVerifier } from './jwks-identity-verifier.ts';

export type SignInIdentityVerifierConfig = JwksIdentityVerifierConfig & { readonly signIn: SignInConfig };

/** Verifies an issuer's tokens, and lets people sign in there: who they are is read of their ID token by the same mapping of claims. */
export class SignInIdentityVerifier extends JwksIdentityVerifier implements SignInIssuer {
  readonly signIn: SignInOffer;
  readonly #flow: CodeFlow;
  readonly #idTokens: JwksIdentityVerifier;
  readonly #secret: (options: CallOptions) => Promise<string | undefined>;

  /** `secrets`: asked for the client's secret at each sign-in, so that a new one is taken without a restart. */
  constructor(
    config: SignInIdentityVerifierConfig,
    { clock = systemClock, secrets }: { clock?: Clock; secrets: Pick<SecretStore, 'get'> },
  ) {
    super(config, { clock });
    const { id, name, sessionMs, clientSecretName } = config.signIn;
    this.signIn = { id, name, sessionMs };
    const idTokens = idTokensOf(config);
    this.#idTokens = new JwksIdentityVerifier(idTokens, { clock });
    this.#flow = new CodeFlow({ ...config, issuer: idTokens.issuer }, clock);
    this.#secret = async (options) =>
      clientSecretName === undefined ? undefined : secretOf(config.issuer, clientSecretName, secrets, options);
  }

  async beginSignIn(redirectUri: string, options: CallOptions = {}): Promise<SignInRequest> {
    // Nobody is sent away to an issuer that would not take the code afterwards.
    await this.#secret(options);
    return this.#flow.begin(redirectUri, options);
  }

  async completeSignIn(answer: SignInAnswer, options: CallOptions = {}): Promise<Identity> {
    const idToken = await this.#flow.redeem(answer, await this.#secret(options), options);
    return this.#idTokens.verify(idToken, options);
  }

  override problem(): string | undefined {
    return super.problem() ?? this.#idTokens.problem();
  }

  signOutUrl(returnTo: string, options: CallOptions = {}): Promise<string | undefined> {
    return this.#flow.signOutUrl(returnTo, options);
  }
}

/** Its ID tokens are for the page's client; what tells the kinds of its other tokens apart they do not have. */
function idTokensOf({ signIn, ...config }: SignInIdentityVerifierConfig): JwksIdentityVerifierConfig {
  const { clientScopes: _ofClients, ...claims } = config.claims;
  return {
    ...config,
    ...{ issuer: signIn.issuer ?? config.issuer, audience: [signIn.clientId], tokens: 'id', maxCachedTokens: 0 },
    claims: { ...claims, audience: 'aud', required: signIn.required ?? claims.required, present: [] },
  };
}

async function secretOf(
  issuer: string,
  name: string,
  secrets: Pick<SecretStore, 'get'>,
  options: CallOptions,
): Promise<string> {
  const secret = (await secrets.get(name, options))?.trimEnd();
  if (secret !== undefined && secret !== '') return secret;
  throw new PortError(
    'failed_precondition',
    `the secret store has no secret ${name}, the client's at ${issuer}: put it there, or leave signIn.clientSecretName out for a public client`,
  );
}
