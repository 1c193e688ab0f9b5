import { LaggingSecrets } from '#core/contracts/lagging-secrets.ts';
import { RememberedSecrets } from '#core/contracts/remembered-secrets.ts';
import type { TenantId } from '#core/domain/ids.ts';
import type { SecretStore } from '#core/ports/secret-store.ts';
import { serveIssuer, type PublishedIssuer } from './issuer-server.ts';
import { jwksIdentityVerifierConfigSchema } from './oidc/jwks-identity-verifier/config.ts';
import { JwksIdentityVerifier } from './oidc/jwks-identity-verifier/jwks-identity-verifier.ts';
import type { SqlTokenIssuer } from './sql/token-issuer.ts';

/** A clock that starts now, so that the keys' and the tokens' times agree with the verifier's. */
export interface MovableClock {
  nowMs(): number;
  monotonicMs(): number;
  advance(ms: number): void;
}

/** Opens the issuer once more, as another process does, with the same secrets. */
export type OpenIssuer<Issuer> = (parts: {
  readonly secrets: SecretStore;
  readonly clock: MovableClock;
}) => Promise<Issuer>;

/** So long after a put the harness's secrets show it: some processes open before, some after. */
const LAG_MS = 250;

/** A site's own issuer over secrets of its own and a clock that can be moved, its published keys and a verifier of its tokens. */
export async function issuerIdentity<Issuer extends SqlTokenIssuer>(
  openIssuer: OpenIssuer<Issuer>,
  secrets: SecretStore = new RememberedSecrets(),
) {
  const clock = movableClock();
  const opened = new AsyncDisposableStack();
  const open = async () => opened.use(await openIssuer({ secrets, clock }));
  const published = async (issuer: Issuer & PublishedIssuer) => {
    const server = opened.use(await serveIssuer(issuer));
    const verifierConfig = jwksIdentityVerifierConfigSchema.parse({
      ...{ issuer: issuer.issuer, audience: issuer.audience, jwksUri: server.jwksUri, keysCooldownMs: 0 },
    });
    const isRevoked = (tokenId: string) => issuer.isRevoked(tokenId);
    const verifier = new JwksIdentityVerifier(verifierConfig, { clock, isRevoked });
    return { issuer, server, verifier, verifierConfig };
  };
  return {
    ...(await published(await open())),
    ...{ secrets, clock, open },
    /** With all that another process has. */
    another: async () => published(await open()),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/** What the contract of token issuers needs, with secrets as a cloud has them. */
export async function tokenIssuerHarness(openIssuer: OpenIssuer<SqlTokenIssuer>, maxLifetimeMs: number) {
  const identity = await issuerIdentity(openIssuer, new LaggingSecrets(LAG_MS));
  const { issuer, verifier, clock } = identity;
  return {
    ...{ issuer, maxLifetimeMs },
    verify: (token: string) => verifier.verify(token),
    another: async () => {
      const other = await identity.another();
      return { issuer: other.issuer, verify: (token: string) => other.verifier.verify(token) };
    },
    advance: (ms: number) => clock.advance(ms),
    tenants: ['north' as TenantId, 'south' as TenantId] as const,
    [Symbol.asyncDispose]: () => identity[Symbol.asyncDispose](),
  };
}

function movableClock(): MovableClock {
  let aheadMs = 0;
  return {
    nowMs: () => Date.now() + aheadMs,
    monotonicMs: () => performance.now(),
    advance: (ms) => void (aheadMs += ms),
  };
}
