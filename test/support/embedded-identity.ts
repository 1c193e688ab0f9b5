import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { localTokenIssuerConfigSchema } from '#adapters/embedded/local-token-issuer/config.ts';
import { serveIssuer } from '#adapters/embedded/local-token-issuer/issuer-server.ts';
import { LocalTokenIssuer } from '#adapters/embedded/local-token-issuer/local-token-issuer.ts';
import { jwksIdentityVerifierConfigSchema } from '#adapters/oidc/jwks-identity-verifier/config.ts';
import { JwksIdentityVerifier } from '#adapters/oidc/jwks-identity-verifier/jwks-identity-verifier.ts';
import type { SecretStore } from '#core/ports/secret-store.ts';

class RememberedSecrets implements SecretStore {
  readonly values = new Map<string, string>();

  async get(name: string): Promise<string | undefined> {
    return this.values.get(name);
  }

  async put(name: string, value: string): Promise<void> {
    this.values.set(name, value);
  }

  async delete(name: string): Promise<void> {
    this.values.delete(name);
  }
}

/** A clock that starts now, so that the keys' and the tokens' times agree with the verifier's. */
function movableClock() {
  let aheadMs = 0;
  return {
    nowMs: () => Date.now() + aheadMs,
    monotonicMs: () => performance.now(),
    advance: (ms: number) => (aheadMs += ms),
  };
}

/** The embedded issuer, its published keys and a verifier of its tokens, over a fresh folder and a clock that can be moved. */
export async function openIdentity(
  settings: { keyLifetimeMs?: number; publishLeadMs?: number; maxTokenLifetimeMs?: number } = {},
) {
  const folder = mkdtempSync(join(tmpdir(), 'tribo-identity-'));
  const secrets = new RememberedSecrets();
  const clock = movableClock();
  const config = localTokenIssuerConfigSchema.parse({
    databasePath: join(folder, 'registry.db'),
    publishLeadMs: 0,
    ...settings,
  });
  const closers: (() => Promise<void>)[] = [];
  const open = async () => {
    const issuer = await LocalTokenIssuer.open(config, { secrets, clock });
    closers.unshift(() => issuer.close());
    return issuer;
  };
  const issuer = await open();
  const server = await serveIssuer(issuer);
  closers.unshift(() => server.close());
  const verifierConfig = jwksIdentityVerifierConfigSchema.parse({
    issuer: issuer.issuer,
    audience: config.audience,
    jwksUri: server.jwksUri,
    keysCooldownMs: 0,
  });
  const verifier = new JwksIdentityVerifier(verifierConfig, { clock, isRevoked: issuer.isRevoked });
  const dispose = async () => {
    for (const close of closers) await close();
    rmSync(folder, { recursive: true });
  };
  return { issuer, server, secrets, clock, verifier, verifierConfig, open, [Symbol.asyncDispose]: dispose };
}
