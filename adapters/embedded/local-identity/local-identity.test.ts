import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { SignJWT } from 'jose';
import { jwksIdentityVerifierConfigSchema } from '#adapters/oidc/jwks-identity-verifier/config.ts';
import { JwksIdentityVerifier } from '#adapters/oidc/jwks-identity-verifier/jwks-identity-verifier.ts';
import { identityVerifierContract } from '#core/contracts/identity-verifier.contract.ts';
import type { TenantId } from '#core/domain/ids.ts';
import type { SecretStore } from '#core/ports/secret-store.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { localIdentityConfigSchema } from './config.ts';
import { serveIssuer } from './issuer-server.ts';
import { LocalIssuer } from './local-issuer.ts';
import { KeyRing, privateKeyOf } from './signing-keys.ts';

const DAY_MS = 86_400_000;
const tenant = 'demo' as TenantId;
const request = { tenant, subject: 'historian', roles: ['viewer'], lifetimeMs: DAY_MS } as const;

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

async function openIdentity(
  settings: { keyLifetimeMs?: number; publishLeadMs?: number; maxTokenLifetimeMs?: number } = {},
) {
  const folder = mkdtempSync(join(tmpdir(), 'tribo-identity-'));
  const secrets = new RememberedSecrets();
  const clock = movableClock();
  const config = localIdentityConfigSchema.parse({
    databasePath: join(folder, 'registry.db'),
    publishLeadMs: 0,
    ...settings,
  });
  const closers: (() => Promise<void>)[] = [];
  const open = async () => {
    const issuer = await LocalIssuer.open(config, { secrets, clock });
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

describeContract(identityVerifierContract, 'the embedded issuer’s tokens, by its published keys', async () => {
  const identity = await openIdentity();
  const { issuer, secrets, verifier, verifierConfig } = identity;
  const nowSeconds = Math.floor(Date.now() / 1000);
  return {
    verifier,
    clockToleranceMs: verifierConfig.clockToleranceMs,
    validClaims: () => ({
      iss: issuer.issuer,
      aud: 'tribo',
      sub: 'maria',
      tenant: 'demo',
      roles: ['operator'],
      iat: nowSeconds,
      exp: nowSeconds + 600,
    }),
    sign: async (claims) => {
      const key = KeyRing.parse((await secrets.get('local-identity.keys'))!).active(Date.now());
      return new SignJWT({ ...claims })
        .setProtectedHeader({ alg: 'ES256', kid: key.kid })
        .sign(await privateKeyOf(key));
    },
    publicKeys: async () => {
      const response = await fetch(verifierConfig.jwksUri);
      return (await response.json()) as { keys: readonly Record<string, unknown>[] };
    },
    rotate: () => issuer.rotateKeys(),
    [Symbol.asyncDispose]: () => identity[Symbol.asyncDispose](),
  };
});

describe('local issuer', () => {
  it('issues tokens that verify as the client they were issued for', async () => {
    await using identity = await openIdentity();
    const { token, record } = await identity.issuer.issue(request);
    expect(await identity.verifier.verify(token)).toEqual({
      subject: 'historian',
      tenant,
      roles: ['viewer'],
      tokenId: record.id,
      expiresAtMs: Math.floor(record.expiresAtMs / 1000) * 1000,
    });
  });

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

  it('refuses a revoked token from then on, also one that was verified before', async () => {
    await using identity = await openIdentity();
    const { token, record } = await identity.issuer.issue(request);
    await identity.verifier.verify(token);
    await identity.issuer.revoke(tenant, record.id);
    await expect(identity.verifier.verify(token)).rejects.toMatchObject({ code: 'permission_denied' });
    expect((await identity.open()).isRevoked(record.id)).toBe(true);
    expect(await identity.issuer.listTokens(tenant)).toEqual([{ ...record, revoked: true }]);
  });

  it('shows and revokes a tenant’s own tokens alone', async () => {
    await using identity = await openIdentity();
    const { record } = await identity.issuer.issue(request);
    expect(await identity.issuer.listTokens('other' as TenantId)).toEqual([]);
    await expect(identity.issuer.revoke('other' as TenantId, record.id)).rejects.toMatchObject({ code: 'not_found' });
    expect(identity.issuer.isRevoked(record.id)).toBe(false);
  });

  it('forgets expired tokens', async () => {
    await using identity = await openIdentity();
    await identity.issuer.issue(request);
    identity.clock.advance(2 * DAY_MS);
    expect(await identity.issuer.listTokens(tenant)).toEqual([]);
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

  it.each([
    ['no roles', { ...request, roles: [] }],
    ['a life of no length', { ...request, lifetimeMs: 0 }],
    ['a life too long', { ...request, lifetimeMs: 400 * DAY_MS }],
    ['a subject that is no name', { ...request, subject: 'a b' }],
  ])('refuses to issue a token with %s', async (_what, wrong) => {
    await using identity = await openIdentity();
    await expect(identity.issuer.issue(wrong)).rejects.toMatchObject({ code: 'invalid_argument' });
  });
});

describe('JWKS identity verifier', () => {
  it('says unavailable, and not denied, while the issuer cannot be reached', async () => {
    await using identity = await openIdentity();
    const { token } = await identity.issuer.issue(request);
    await identity.server.close();
    await expect(identity.verifier.verify(token)).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('goes on with the keys it has while the issuer is away', async () => {
    await using identity = await openIdentity();
    const [one, two] = [await identity.issuer.issue(request), await identity.issuer.issue(request)];
    await identity.verifier.verify(one.token);
    await identity.server.close();
    await identity.verifier.verify(two.token);
  });

  it('refuses a remembered token once it has expired', async () => {
    await using identity = await openIdentity();
    const { token } = await identity.issuer.issue({ ...request, lifetimeMs: 60_000 });
    await identity.verifier.verify(token);
    identity.clock.advance(60_000 + identity.verifierConfig.clockToleranceMs + 1000);
    await expect(identity.verifier.verify(token)).rejects.toMatchObject({ code: 'permission_denied' });
  });

  it('asks the issuer for an unknown key id no more often than the cooldown allows', async () => {
    await using identity = await openIdentity();
    const { token } = await identity.issuer.issue(request);
    const patient = new JwksIdentityVerifier(
      { ...identity.verifierConfig, keysCooldownMs: 60_000 },
      { clock: identity.clock },
    );
    await patient.verify(token);
    await identity.issuer.rotateKeys();
    const rotated = await identity.issuer.issue(request);
    await expect(patient.verify(rotated.token)).rejects.toMatchObject({ code: 'permission_denied' });
  });
});

function kidOf(token: string): unknown {
  const header: unknown = JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString());
  return (header as { kid?: unknown }).kid;
}
