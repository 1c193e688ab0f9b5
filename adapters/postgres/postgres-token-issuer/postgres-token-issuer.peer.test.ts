import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { localTokenIssuerConfigSchema } from '#adapters/embedded/local-token-issuer/config.ts';
import { takeOverTokens } from '#adapters/embedded/local-token-issuer/listed-tokens.ts';
import { LocalTokenIssuer } from '#adapters/embedded/local-token-issuer/local-token-issuer.ts';
import { issuerIdentity } from '#adapters/issuer-harness.ts';
import { LaggingSecrets } from '#core/contracts/lagging-secrets.ts';
import { RememberedSecrets } from '#core/contracts/remembered-secrets.ts';
import { tokenIssuerContract } from '#core/contracts/token-issuer.contract.ts';
import { until } from '#core/contracts/until.ts';
import { systemClock } from '#core/clock.ts';
import type { TenantId } from '#core/domain/ids.ts';
import { Postgres } from '#test/peers/postgres.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { LateSecrets } from '#test/support/late-secrets.ts';
import { connectionOf } from '../connection-config.ts';
import { postgresTokenIssuerHarness } from '../contract-harnesses.ts';
import { PostgresServer } from '../postgres-server.ts';
import { postgresTokenIssuerConfigSchema, type PostgresTokenIssuerConfig } from './config.ts';
import { PostgresTokenIssuer } from './postgres-token-issuer.ts';

const TENANT = 'north' as TenantId;
const REQUEST = { tenant: TENANT, subject: 'historian', roles: ['viewer'], lifetimeMs: 3_600_000 } as const;
/** Longer than a test: what comes in time came by a notice. */
const NEVER_MS = 600_000;
const MORE_THAN_CONNECTIONS = 12;

let postgres: Postgres;
beforeAll(async () => {
  postgres = await Postgres.start();
}, 300_000);
afterAll(() => postgres[Symbol.asyncDispose]());

const freshConfig = (more: object = {}) =>
  postgresTokenIssuerConfigSchema.parse({ ...postgres.freshConnection(), ...more });

describeContract(tokenIssuerContract, 'PostgreSQL', () => postgresTokenIssuerHarness(freshConfig()));

async function withoutNotice(settings: PostgresTokenIssuerConfig, statement: string): Promise<void> {
  const server = await PostgresServer.use(connectionOf(settings));
  await server.pool.query(statement);
  await server.release();
}

describe('the issuer of several copies of the API', () => {
  it.each([
    { secrets: new RememberedSecrets(), shown: 'at once' },
    { secrets: new LaggingSecrets(500), shown: 'later' },
  ])('is one, with the same keys, when they start together and secrets are shown $shown', async ({ secrets }) => {
    const config = freshConfig();
    const open = () => PostgresTokenIssuer.open(config, { secrets, clock: systemClock });
    const opened = await Promise.all(Array.from({ length: 8 }, open));
    const [first, ...others] = opened.map((each) => [each.issuer, each.publicKeys()]);
    for (const other of others) expect(other).toEqual(first);
    for (const each of opened) await each.close();
  });

  it.each([
    { by: 'a notice', config: { revokedPollMs: NEVER_MS } },
    { by: 'its own looking, where no notice came', config: { revokedPollMs: 100 } },
  ])('has a token refused at another copy by $by', async ({ by, config }) => {
    const settings = freshConfig(config);
    await using identity = await issuerIdentity((parts) => PostgresTokenIssuer.open(settings, parts));
    const other = await identity.another();
    const { token, record } = await identity.issuer.issue(REQUEST);
    await other.verifier.verify(token);
    if (by === 'a notice') await identity.issuer.revoke(TENANT, record.id);
    else await withoutNotice(settings, `update issued_token set revoked = 1 where id = '${record.id}'`);
    await until(() => other.issuer.isRevoked(record.id));
    await expect(other.verifier.verify(token)).rejects.toMatchObject({ code: 'permission_denied' });
  });

  it('takes over what a data folder listed before, at all copies, and changes nothing a second time', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tribo-tokens-'));
    const before = localTokenIssuerConfigSchema.parse({ databasePath: join(folder, 'identity.db') });
    await using embedded = await issuerIdentity((parts) => LocalTokenIssuer.open(before, parts));
    const [kept, revoked] = [await embedded.issuer.issue(REQUEST), await embedded.issuer.issue(REQUEST)];
    await embedded.issuer.revoke(TENANT, revoked.record.id);
    const config = freshConfig();
    await using identity = await issuerIdentity((parts) => PostgresTokenIssuer.open(config, parts));
    const other = await identity.open();
    await takeOverTokens(folder, identity.issuer);
    await until(() => other.isRevoked(revoked.record.id));
    expect([identity.issuer.isRevoked(revoked.record.id), other.isRevoked(kept.record.id)]).toEqual([true, false]);
    await other.revoke(TENANT, kept.record.id);
    await takeOverTokens(folder, identity.issuer);
    expect((await other.listTokens(TENANT)).map((each) => each.revoked)).toEqual([true, true]);
    rmSync(folder, { recursive: true });
  });

  it('publishes at each copy the key that one of them made, before that signs with it', async () => {
    const settings = freshConfig({ publishLeadMs: 60_000, revokedPollMs: NEVER_MS });
    await using identity = await issuerIdentity((parts) => PostgresTokenIssuer.open(settings, parts));
    const other = await identity.open();
    await other.rotateKeys();
    await until(() => identity.issuer.publicKeys().keys.length === 2);
    expect(identity.issuer.publicKeys()).toEqual(other.publicKeys());
  });

  it('publishes at each copy the key that one of them made, once the secret store shows it', async () => {
    const settings = freshConfig({ publishLeadMs: 60_000, revokedPollMs: NEVER_MS });
    const secrets = new LaggingSecrets();
    await using identity = await issuerIdentity((parts) => PostgresTokenIssuer.open(settings, parts), secrets);
    await secrets.show();
    const other = await identity.open();
    await other.rotateKeys();
    await until(() => identity.issuer.problem() !== undefined);
    await secrets.show();
    await until(() => identity.issuer.publicKeys().keys.length === 2);
    expect(identity.issuer.publicKeys()).toEqual(other.publicKeys());
  });

  it('makes a key once where its connection is cut between the put and the commit, and all copies have it', async () => {
    const settings = freshConfig({ revokedPollMs: NEVER_MS });
    const secrets = new CuttingSecrets(() => cutTransactions(settings));
    await using identity = await issuerIdentity((parts) => PostgresTokenIssuer.open(settings, parts), secrets);
    const other = await identity.open();
    secrets.cuts = 1;
    await identity.issuer.rotateKeys();
    expect(secrets.cuts).toBe(0);
    expect(identity.issuer.publicKeys().keys).toHaveLength(2);
    expect(keyNames(secrets)).toHaveLength(2);
    await until(() => isDeepStrictEqual(other.publicKeys(), identity.issuer.publicKeys()));
    expect((await identity.open()).publicKeys()).toEqual(identity.issuer.publicKeys());
  });

  it('goes on with the keys that a copy made, when a put comes late that another had given up', async () => {
    const settings = freshConfig({ publishLeadMs: 0 });
    const secrets = new LateSecrets();
    await using identity = await issuerIdentity((parts) => PostgresTokenIssuer.open(settings, parts), secrets);
    const { issuer, verifier, clock } = identity;
    const other = await identity.open();
    clock.advance(settings.keyLifetimeMs + 1);
    secrets.isSlow = true;
    await expect(issuer.issue(REQUEST)).rejects.toMatchObject({ code: 'deadline_exceeded' });
    secrets.isSlow = false;
    const { token } = await other.issue(REQUEST);
    await secrets.arrive();
    await until(() => isDeepStrictEqual(other.publicKeys(), issuer.publicKeys()));
    await verifier.verify(token);
    expect((await identity.open()).publicKeys()).toEqual(other.publicKeys());
  });

  it('goes on with the keys that a Tribo before this one kept under one name, and its tokens', async () => {
    const settings = freshConfig();
    const secrets = new RememberedSecrets();
    await using identity = await issuerIdentity((parts) => PostgresTokenIssuer.open(settings, parts), secrets);
    const { token } = await identity.issuer.issue(REQUEST);
    const [name] = keyNames(secrets);
    await secrets.put('local-identity.keys', (await secrets.get(name!))!);
    await secrets.delete(name!);
    const next = await identity.another();
    await next.issuer.rotateKeys();
    await next.verifier.verify(token);
    await (await identity.another()).verifier.verify(token);
  });

  it('issues and lists tokens though the secret store does not answer, and waits for it where a key is due, with one connection', async () => {
    const settings = freshConfig();
    const secrets = new SilentSecrets();
    await using identity = await issuerIdentity((parts) => PostgresTokenIssuer.open(settings, parts), secrets);
    const { issuer, clock } = identity;
    const issueMany = () => Promise.all(Array.from({ length: MORE_THAN_CONNECTIONS }, () => issuer.issue(REQUEST)));
    secrets.fallSilent();
    await issueMany();
    expect(await issuer.listTokens(TENANT)).toHaveLength(MORE_THAN_CONNECTIONS);
    clock.advance(settings.keyLifetimeMs + 1);
    const waiting = issueMany();
    await until(() => secrets.asked > 0);
    expect(await issuer.listTokens(TENANT)).toEqual([]);
    expect(secrets.asked).toBe(1);
    secrets.answer();
    await waiting;
    expect(issuer.publicKeys().keys).toHaveLength(2);
  });
});

function keyNames({ names }: RememberedSecrets): readonly string[] {
  return names.filter((name) => name.startsWith('local-identity.keys'));
}

/** As when a process dies, or its network fails, in a transaction. */
function cutTransactions(settings: PostgresTokenIssuerConfig): Promise<void> {
  return withoutNotice(
    settings,
    "select pg_terminate_backend(pid) from pg_stat_activity where state = 'idle in transaction' and pid <> pg_backend_pid()",
  );
}

/** Secrets of a service that has what was put, when the database's connection is cut. */
class CuttingSecrets extends RememberedSecrets {
  cuts = 0;
  readonly #cut: () => Promise<void>;

  constructor(cut: () => Promise<void>) {
    super();
    this.#cut = cut;
  }

  override async put(name: string, value: string): Promise<void> {
    await super.put(name, value);
    if (this.cuts > 0) {
      this.cuts--;
      await this.#cut();
    }
  }
}

/** Secrets of a service that for a while gives no answer. */
class SilentSecrets extends RememberedSecrets {
  /** How many calls there were since it fell silent. */
  asked = 0;
  answer: () => void = () => undefined;
  #answering: Promise<void> = Promise.resolve();

  fallSilent(): void {
    this.asked = 0;
    this.#answering = new Promise((resolve) => (this.answer = resolve));
  }

  override async get(name: string): Promise<string | undefined> {
    this.asked++;
    await this.#answering;
    return super.get(name);
  }

  override async put(name: string, value: string): Promise<void> {
    this.asked++;
    await this.#answering;
    return super.put(name, value);
  }
}
