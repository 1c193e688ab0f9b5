import { randomBytes, randomUUID } from 'node:crypto';
import { SignJWT, type CryptoKey, type JSONWebKeySet } from 'jose';
import type { Generated, Kysely } from 'kysely';
import { sql } from 'kysely';
import { OWN_ISSUERS } from '#adapters/oidc/jwks-identity-verifier/config.ts';
import type { Migration } from '#adapters/sql/migrate.ts';
import { SqliteFile } from '#adapters/sql/sqlite-file.ts';
import { systemClock, type Clock } from '#core/clock.ts';
import { isName, type TenantId } from '#core/domain/ids.ts';
import { isRole } from '#core/domain/role.ts';
import { PortError, throwIfAborted, type CallOptions } from '#core/errors.ts';
import type { TokenIssuer, TokenRecord, TokenRequest } from '#core/ports/token-issuer.ts';
import type { SecretStore } from '#core/ports/secret-store.ts';
import type { LocalTokenIssuerConfig } from './config.ts';
import { KeyRing, privateKeyOf, SIGNING_ALGORITHM, type StoredKey } from './signing-keys.ts';

const KEYS_SECRET = 'local-identity.keys';
const ISSUER_SECRET = 'local-identity.issuer';
/** Unexpired tokens of a tenant, revoked ones included. */
const MAX_TOKENS = 10_000;

interface Schema {
  issued_token: {
    id: string;
    tenant: string;
    subject: string;
    roles: string;
    created_at_ms: number;
    expires_at_ms: number;
    revoked: Generated<number>;
  };
}

const migrations: readonly Migration[] = [
  {
    version: 1,
    up: async (db) => {
      await sql`create table issued_token (
        id text primary key, tenant text not null, subject text not null, roles text not null,
        created_at_ms bigint not null, expires_at_ms bigint not null, revoked integer not null default 0)`.execute(db);
      await sql`create index issued_token_tenant on issued_token (tenant, created_at_ms)`.execute(db);
    },
  },
];

/**
 * The embedded identity issuer: signs tokens as an OIDC provider does, with keys that are made at the first start and live in the secret
 * store. Tokens are not kept, only listed, so that they can be revoked. There is no password to begin with, and none later.
 */
export class LocalTokenIssuer implements TokenIssuer, AsyncDisposable {
  /** The `iss` claim: stable over restarts, whatever address the platform listens on. */
  readonly issuer: string;
  readonly #config: LocalTokenIssuerConfig;
  readonly #secrets: SecretStore;
  readonly #clock: Clock;
  readonly #file: SqliteFile<Schema>;
  readonly #revoked = new Set<string>();
  readonly #privateKeys = new Map<string, Promise<CryptoKey>>();
  #ring: KeyRing;

  /** Makes what is not there yet. @throws PortError data_loss (damaged keys), and those of the stores. */
  static async open(
    config: LocalTokenIssuerConfig,
    { secrets, clock = systemClock }: { readonly secrets: SecretStore; readonly clock?: Clock },
  ): Promise<LocalTokenIssuer> {
    const file = await SqliteFile.open<Schema>({
      path: config.databasePath,
      component: 'local-identity',
      migrations,
    });
    try {
      // The database's write lock, so that processes that start together make one issuer.
      const issuer = await file.kysely.transaction().execute(async () => issuerName(secrets));
      const opened = new LocalTokenIssuer(config, secrets, clock, file, issuer);
      await opened.#renewKeys();
      await opened.#loadRevoked();
      file.onChange(() => void opened.#reload().catch(() => undefined));
      return opened;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  private constructor(
    config: LocalTokenIssuerConfig,
    secrets: SecretStore,
    clock: Clock,
    file: SqliteFile<Schema>,
    issuer: string,
  ) {
    this.#config = config;
    this.#secrets = secrets;
    this.#clock = clock;
    this.#file = file;
    this.#ring = new KeyRing([]);
    this.issuer = issuer;
  }

  async issue(
    request: TokenRequest,
    { signal }: CallOptions = {},
  ): Promise<{ readonly token: string; readonly record: TokenRecord }> {
    throwIfAborted(signal);
    this.#check(request);
    const createdAtMs = this.#clock.nowMs();
    const { tenant, subject, roles } = request;
    const expiresAtMs = createdAtMs + request.lifetimeMs;
    const record: TokenRecord = { id: randomUUID(), tenant, subject, roles, createdAtMs, expiresAtMs, revoked: false };
    await this.#renewKeys();
    await this.#file.kysely.transaction().execute((db) => this.#insert(db, record));
    return { token: await this.#sign(record), record };
  }

  async listTokens(tenant: TenantId, { signal }: CallOptions = {}): Promise<readonly TokenRecord[]> {
    throwIfAborted(signal);
    const rows = await this.#file.kysely
      .selectFrom('issued_token')
      .selectAll()
      .where('tenant', '=', tenant)
      .where('expires_at_ms', '>', this.#clock.nowMs())
      .orderBy('created_at_ms', 'desc')
      .orderBy('id')
      .execute();
    return rows.map((row) => ({
      id: row.id,
      tenant: row.tenant as TenantId,
      subject: row.subject,
      roles: row.roles.split(',').filter(isRole),
      createdAtMs: row.created_at_ms,
      expiresAtMs: row.expires_at_ms,
      revoked: row.revoked !== 0,
    }));
  }

  async revoke(tenant: TenantId, id: string, { signal }: CallOptions = {}): Promise<void> {
    throwIfAborted(signal);
    const { numUpdatedRows } = await this.#file.kysely
      .updateTable('issued_token')
      .set({ revoked: 1 })
      .where('tenant', '=', tenant)
      .where('id', '=', id)
      .executeTakeFirst();
    if (numUpdatedRows === 0n) throw new PortError('not_found', `no token ${id} was issued for ${tenant}`);
    this.#revoked.add(id);
    this.#file.changed();
  }

  /** Whether a token of this issuer was revoked, as far as this process knows: at once for its own, soon for those of others. */
  readonly isRevoked = (tokenId: string): boolean => this.#revoked.has(tokenId);

  /** The public keys, for whoever verifies. */
  publicKeys(): JSONWebKeySet {
    return this.#ring.publicKeySet() as JSONWebKeySet;
  }

  /** Publishes a further key, which signs after the publish lead; the keys before it are published until their last token has expired. */
  async rotateKeys(): Promise<void> {
    await this.#file.kysely.transaction().execute(async () => {
      const nowMs = this.#clock.nowMs();
      const stored = await this.#secrets.get(KEYS_SECRET);
      await this.#addKey(stored === undefined ? this.#ring : KeyRing.parse(stored), nowMs + this.#config.publishLeadMs);
    });
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Reads what another process may have changed, and adds a key when there is none or the newest is old. */
  async #renewKeys(): Promise<void> {
    await this.#file.kysely.transaction().execute(async () => {
      const stored = await this.#secrets.get(KEYS_SECRET);
      const nowMs = this.#clock.nowMs();
      if (stored === undefined) return this.#addKey(new KeyRing([]), nowMs);
      this.#ring = KeyRing.parse(stored);
      const newest = this.#ring.newest;
      const due = newest === undefined || nowMs - newest.createdAtMs > this.#config.keyLifetimeMs;
      return due ? this.#addKey(this.#ring, nowMs + this.#config.publishLeadMs) : undefined;
    });
  }

  async #addKey(ring: KeyRing, activeAtMs: number): Promise<void> {
    const nowMs = this.#clock.nowMs();
    const grown = await ring.withNewKey(randomBytes(12).toString('base64url'), nowMs, activeAtMs);
    const kept = grown.withoutRetired(nowMs, this.#config.maxTokenLifetimeMs);
    await this.#secrets.put(KEYS_SECRET, kept.toJson());
    this.#ring = kept;
  }

  async #sign({ id, tenant, subject, roles, createdAtMs, expiresAtMs }: TokenRecord): Promise<string> {
    const key = this.#ring.active(this.#clock.nowMs());
    // No `nbf`: a clock that is set back a little would refuse every token that was issued since then.
    return new SignJWT({ tenant, roles })
      .setProtectedHeader({ alg: SIGNING_ALGORITHM, kid: key.kid, typ: 'JWT' })
      .setIssuer(this.issuer)
      .setAudience(this.#config.audience)
      .setSubject(subject)
      .setJti(id)
      .setIssuedAt(Math.floor(createdAtMs / 1000))
      .setExpirationTime(Math.floor(expiresAtMs / 1000))
      .sign(await this.#privateKey(key));
  }

  #privateKey(key: StoredKey): Promise<CryptoKey> {
    const known = this.#privateKeys.get(key.kid) ?? privateKeyOf(key);
    this.#privateKeys.set(key.kid, known);
    return known;
  }

  #check({ tenant, subject, roles, lifetimeMs }: TokenRequest): void {
    const { maxTokenLifetimeMs } = this.#config;
    if (!isName(tenant) || !isName(subject)) {
      throw new PortError('invalid_argument', 'tenant and subject must be names of 1 to 64 of A-Z a-z 0-9 _ . -');
    }
    if (roles.length === 0 || !roles.every(isRole)) throw new PortError('invalid_argument', 'name at least one role');
    if (!(lifetimeMs > 0 && lifetimeMs <= maxTokenLifetimeMs)) {
      throw new PortError(
        'invalid_argument',
        `lifetimeMs must be above 0 and at most ${maxTokenLifetimeMs}, got ${lifetimeMs}`,
      );
    }
  }

  async #insert(db: Kysely<Schema>, record: TokenRecord): Promise<void> {
    await db.deleteFrom('issued_token').where('expires_at_ms', '<=', record.createdAtMs).execute();
    const { count } = await db
      .selectFrom('issued_token')
      .select((expression) => expression.fn.countAll<number>().as('count'))
      .where('tenant', '=', record.tenant)
      .executeTakeFirstOrThrow();
    if (count >= MAX_TOKENS) {
      throw new PortError('resource_exhausted', `${record.tenant} has ${MAX_TOKENS} tokens; wait until some expire`);
    }
    await db
      .insertInto('issued_token')
      .values({
        id: record.id,
        tenant: record.tenant,
        subject: record.subject,
        roles: record.roles.join(','),
        created_at_ms: record.createdAtMs,
        expires_at_ms: record.expiresAtMs,
      })
      .execute();
  }

  /** Another process may have revoked a token, or made a key that it soon signs with. */
  async #reload(): Promise<void> {
    await this.#loadRevoked();
    const stored = await this.#secrets.get(KEYS_SECRET);
    if (stored !== undefined) this.#ring = KeyRing.parse(stored);
  }

  async #loadRevoked(): Promise<void> {
    const rows = await this.#file.kysely.selectFrom('issued_token').select('id').where('revoked', '=', 1).execute();
    this.#revoked.clear();
    for (const { id } of rows) this.#revoked.add(id);
  }
}

async function issuerName(secrets: SecretStore): Promise<string> {
  const known = await secrets.get(ISSUER_SECRET);
  if (known !== undefined) return known;
  const made = `https://${randomBytes(8).toString('hex')}.${OWN_ISSUERS}`;
  await secrets.put(ISSUER_SECRET, made);
  return made;
}
