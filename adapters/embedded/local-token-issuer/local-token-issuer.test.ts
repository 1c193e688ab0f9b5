import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { tokenIssuerHarness } from '#adapters/issuer-harness.ts';
import { tokenIssuerContract } from '#core/contracts/token-issuer.contract.ts';
import { until } from '#core/contracts/until.ts';
import type { TenantId } from '#core/domain/ids.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { openIdentity } from '#test/support/embedded-identity.ts';
import { localTokenIssuerConfigSchema } from './config.ts';
import { LocalTokenIssuer } from './local-token-issuer.ts';

const DAY_MS = 86_400_000;
const tenant = 'demo' as TenantId;
const request = { tenant, subject: 'historian', roles: ['viewer'], lifetimeMs: DAY_MS } as const;

describeContract(tokenIssuerContract, 'local keys and SQLite', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tribo-identity-'));
  const config = localTokenIssuerConfigSchema.parse({ databasePath: join(folder, 'identity.db'), publishLeadMs: 0 });
  const harness = await tokenIssuerHarness((parts) => LocalTokenIssuer.open(config, parts), config.maxTokenLifetimeMs);
  const dispose = async () => {
    await harness[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  };
  return { ...harness, [Symbol.asyncDispose]: dispose };
});

describe('local issuer', () => {
  it('keeps keys and name over a restart, and makes them once when two processes start together', async () => {
    await using identity = await openIdentity();
    const { token } = await identity.issuer.issue(request);
    const [second, third] = await Promise.all([identity.open(), identity.open()]);
    for (const again of [second, third]) {
      expect(again.issuer).toBe(identity.issuer.issuer);
      expect(again.publicKeys()).toEqual(identity.issuer.publicKeys());
    }
    await identity.verifier.verify(token);
  });

  it('publishes no private member of a key', async () => {
    await using identity = await openIdentity();
    const published = await (await fetch(identity.server.jwksUri)).text();
    expect(Object.keys(identity.issuer.publicKeys().keys[0]!).sort()).toEqual([
      'alg',
      'crv',
      'kid',
      'kty',
      'use',
      'x',
      'y',
    ]);
    expect(published).not.toContain('"d"');
  });

  it('publishes what OIDC clients look up, and nothing else', async () => {
    await using identity = await openIdentity();
    const base = identity.server.jwksUri.replace('/.well-known/jwks.json', '');
    const metadata: unknown = await (await fetch(`${base}/.well-known/openid-configuration`)).json();
    expect(metadata).toMatchObject({ issuer: identity.issuer.issuer, jwks_uri: identity.server.jwksUri });
    expect((await fetch(`${base}/keys`)).status).toBe(404);
    expect((await fetch(identity.server.jwksUri, { method: 'POST' })).status).toBe(404);
  });

  it('publishes a new key before it signs with it', async () => {
    await using identity = await openIdentity({ publishLeadMs: 60_000 });
    const before = kidOf((await identity.issuer.issue(request)).token);
    await identity.issuer.rotateKeys();
    expect(identity.issuer.publicKeys().keys).toHaveLength(2);
    expect(kidOf((await identity.issuer.issue(request)).token)).toBe(before);
    identity.clock.advance(60_000);
    expect(kidOf((await identity.issuer.issue(request)).token)).not.toBe(before);
  });

  it('publishes the key that another process made, before that signs with it', async () => {
    await using identity = await openIdentity({ publishLeadMs: 60_000 });
    const other = await identity.open();
    await other.rotateKeys();
    await other.issue(request);
    await until(() => identity.issuer.publicKeys().keys.length === 2);
    expect(identity.issuer.publicKeys()).toEqual(other.publicKeys());
  });

  it('makes a new key at a start when the newest is old, and drops a key when its last token has expired', async () => {
    await using identity = await openIdentity({ keyLifetimeMs: DAY_MS, maxTokenLifetimeMs: DAY_MS });
    const first = identity.issuer.publicKeys().keys[0]!.kid;
    identity.clock.advance(DAY_MS + 1);
    expect((await identity.open()).publicKeys().keys.map(({ kid }) => kid)).toContain(first);
    identity.clock.advance(DAY_MS + 1);
    const last = (await identity.open()).publicKeys().keys;
    expect(last).toHaveLength(2);
    expect(last.map(({ kid }) => kid)).not.toContain(first);
  });

  it('refuses to start on damaged keys, instead of making new ones in silence', async () => {
    await using identity = await openIdentity();
    await identity.secrets.put('local-identity.keys', '[{"kid":');
    await expect(identity.open()).rejects.toMatchObject({ code: 'data_loss' });
  });
});

function kidOf(token: string): unknown {
  const header: unknown = JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString());
  return (header as { kid?: unknown }).kid;
}
