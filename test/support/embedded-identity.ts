import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { localTokenIssuerConfigSchema } from '#adapters/embedded/local-token-issuer/config.ts';
import { LocalTokenIssuer } from '#adapters/embedded/local-token-issuer/local-token-issuer.ts';
import { issuerIdentity } from '#adapters/issuer-harness.ts';
import type { SecretStore } from '#core/ports/secret-store.ts';

/** The embedded issuer, its published keys and a verifier of its tokens, over a fresh folder and a clock that can be moved. */
export async function openIdentity(
  settings: {
    keyLifetimeMs?: number;
    publishLeadMs?: number;
    maxTokenLifetimeMs?: number;
    revokedPollMs?: number;
    readableWithinMs?: number;
  } = {},
  secrets?: SecretStore,
) {
  const folder = mkdtempSync(join(tmpdir(), 'tribo-identity-'));
  const databasePath = join(folder, 'registry.db');
  const { readableWithinMs = 60_000, ...more } = settings;
  const config = localTokenIssuerConfigSchema.parse({ databasePath, publishLeadMs: 0, ...more });
  const identity = await issuerIdentity(
    (parts) => LocalTokenIssuer.open(config, { ...parts, readableWithinMs }),
    secrets,
  );
  const dispose = async () => {
    await identity[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  };
  return { ...identity, databasePath, [Symbol.asyncDispose]: dispose };
}
