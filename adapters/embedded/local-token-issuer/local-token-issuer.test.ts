import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { tokenIssuerHarness } from '#adapters/issuer-harness.ts';
import { LaggingSecrets } from '#core/contracts/lagging-secrets.ts';
import { RememberedSecrets } from '#core/contracts/remembered-secrets.ts';
import { tokenIssuerContract } from '#core/contracts/token-issuer.contract.ts';
import { until } from '#core/contracts/until.ts';
import type { TenantId } from '#core/domain/ids.ts';
import { messageOf, PortError } from '#core/errors.ts';
import type { SecretStore } from '#core/ports/secret-store.ts';
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
    await identity.secrets.put(secretOf(identity.issuer), '[{"kid":');
    await expect(identity.open()).rejects.toMatchObject({ code: 'data_loss' });
  });

  it('keeps the keys under the name of the newest, and no more than those before', async () => {
    const secrets = new RememberedSecrets();
    await using identity = await openIdentity({}, secrets);
    const { issuer } = identity;
    for (let made = 1; made <= 3; made++) {
      const before = secretOf(issuer);
      await issuer.rotateKeys();
      const wanted = ['local-identity.issuer', before, secretOf(issuer)].sort();
      await until(() => isDeepStrictEqual([...secrets.names].sort(), wanted));
    }
    expect((await identity.open()).publicKeys()).toEqual(issuer.publicKeys());
  });

  it('tells which secret it could not delete, and goes on', async () => {
    class KeptSecrets extends RememberedSecrets {
      override delete(): Promise<void> {
        return Promise.reject(new PortError('permission_denied', 'not allowed'));
      }
    }
    await using identity = await openIdentity({}, new KeptSecrets());
    const { issuer } = identity;
    const told: string[] = [];
    issuer.onProblem((what) => told.push(what));
    const first = secretOf(issuer);
    await issuer.rotateKeys();
    await issuer.rotateKeys();
    await until(() => told.length >= 2);
    expect(told).toContain(`deleting the secret ${first}, which nobody needs any more,`);
    expect(issuer.problem()).toBeUndefined();
    await identity.verifier.verify((await issuer.issue(request)).token);
  });

  it.each([
    { what: 'agreed on', forgets: '' },
    { what: 'had before it agreed on any', forgets: 'delete from token_issuer' },
  ])(
    'goes on with the keys that a Tribo before this one $what, and deletes them after the next but one',
    async (given) => {
      const secrets = new RememberedSecrets();
      await using identity = await openIdentity({}, secrets);
      const { databasePath } = identity;
      const { token } = await identity.issuer.issue(request);
      await bareName(identity);
      if (given.forgets) change(databasePath, given.forgets);
      const next = await identity.another();
      expect(next.issuer.publicKeys()).toEqual(identity.issuer.publicKeys());
      await next.verifier.verify(token);
      await next.issuer.rotateKeys();
      await next.verifier.verify(token);
      await next.issuer.rotateKeys();
      await until(() => !secrets.names.includes('local-identity.keys'));
      await (await identity.another()).verifier.verify(token);
      expect(secrets.names.filter((name) => name.startsWith('local-identity.keys'))).toHaveLength(2);
    },
  );

  it('agrees on the key of a Tribo before this one that died before it said so, and makes none in its place', async () => {
    await using identity = await openIdentity();
    const [first] = kidsOf(identity.issuer);
    await (await identity.open()).rotateKeys();
    await until(() => kidsOf(identity.issuer).length === 2);
    await bareName(identity);
    change(identity.databasePath, `update token_issuer set newest_kid = '${first}'`);
    const next = await identity.open();
    await next.rotateKeys();
    expect(kidsOf(next)).toHaveLength(3);
    await until(() => kidsOf(identity.issuer).length === 3);
    expect(kidsOf(identity.issuer)).toEqual(kidsOf(next));
  });

  it('goes on with the keys before where the database was set back', async () => {
    await using identity = await openIdentity();
    const { issuer, databasePath } = identity;
    const { token } = await issuer.issue(request);
    const [first] = kidsOf(issuer);
    await issuer.rotateKeys();
    await issuer.close();
    change(databasePath, `update token_issuer set newest_kid = '${first}'`);
    const next = await identity.another();
    expect(kidsOf(next.issuer)).toEqual([first]);
    await next.verifier.verify(token);
  });

  it('makes no keys in place of a secret that is gone, and says what to do', async () => {
    await using identity = await openIdentity({ readableWithinMs: 100 });
    await identity.secrets.delete(secretOf(identity.issuer));
    await expect(identity.open()).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(
        /local-identity\.keys\.\S{16} is absent.* delete the row of the table token_issuer/,
      ),
    });
  });

  it('has new keys, everywhere, where somebody deleted them and what was agreed on', async () => {
    await using identity = await openIdentity();
    const before = identity.issuer.publicKeys();
    await identity.secrets.delete(secretOf(identity.issuer));
    change(identity.databasePath, 'delete from token_issuer');
    const next = await identity.open();
    expect(next.issuer).toBe(identity.issuer.issuer);
    expect(next.publicKeys()).not.toEqual(before);
    await until(() => identity.issuer.publicKeys().keys[0]!.kid === next.publicKeys().keys[0]!.kid);
  });

  it('tells that it cannot read what was revoked, until it can', async () => {
    await using identity = await openIdentity({ revokedPollMs: 100 });
    const { issuer, databasePath } = identity;
    const told: string[] = [];
    issuer.onProblem((what, error) => told.push(`${what}: ${messageOf(error)}`));
    change(databasePath, 'alter table issued_token rename to elsewhere');
    await until(() => issuer.problem() !== undefined);
    expect(issuer.problem()).toContain('issued_token');
    change(databasePath, 'alter table elsewhere rename to issued_token');
    await until(() => issuer.problem() === undefined);
    expect(told).toEqual([
      expect.stringMatching(/^reading what other processes revoked and sign with: .*issued_token/),
    ]);
  });
});

describe('local issuer whose secret store shows later what was put', () => {
  it('makes no other name or key because it does not see them: it waits, and says for what', async () => {
    const secrets = new LaggingSecrets();
    await using identity = await openIdentity({ readableWithinMs: 100 }, secrets);
    await expect(identity.open()).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining(`the secret ${secretOf(identity.issuer)} is absent`),
    });
    await secrets.show();
    const other = await identity.open();
    expect(other.issuer).toBe(identity.issuer.issuer);
    expect(other.publicKeys()).toEqual(identity.issuer.publicKeys());
  });

  it('publishes the key that another process made once it can be read, and tells meanwhile that it lacks it; the maker keeps it', async () => {
    const secrets = new LaggingSecrets();
    await using identity = await openIdentity({ publishLeadMs: 60_000, revokedPollMs: 100 }, secrets);
    await secrets.show();
    const { issuer } = identity;
    const other = await identity.open();
    await other.rotateKeys();
    await until(() => issuer.problem() !== undefined);
    expect(issuer.problem()).toContain(`the secret ${secretOf(other)} is absent`);
    expect([issuer, other].map((each) => each.publicKeys().keys.length)).toEqual([1, 2]);
    await secrets.show();
    await until(() => issuer.problem() === undefined);
    expect(issuer.publicKeys()).toEqual(other.publicKeys());
  });
});

/** Of the keys. */
function secretOf(issuer: LocalTokenIssuer): string {
  return `local-identity.keys.${kidsOf(issuer).at(-1)}`;
}

function kidsOf(issuer: LocalTokenIssuer) {
  return issuer.publicKeys().keys.map(({ kid }) => kid);
}

/** Has the keys as a Tribo before this one had them. */
async function bareName({ issuer, secrets }: { issuer: LocalTokenIssuer; secrets: SecretStore }): Promise<void> {
  await secrets.put('local-identity.keys', (await secrets.get(secretOf(issuer)))!);
  for (const kid of kidsOf(issuer)) await secrets.delete(`local-identity.keys.${kid}`);
}

/** By another connection. */
function change(databasePath: string, statement: string): void {
  const database = new DatabaseSync(databasePath, { timeout: 5_000 });
  database.exec(statement);
  database.close();
}

function kidOf(token: string): unknown {
  const header: unknown = JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString());
  return (header as { kid?: unknown }).kid;
}
