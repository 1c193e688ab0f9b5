import { randomBytes, randomUUID } from 'node:crypto';
import { SignJWT, type CryptoKey, type JSONWebKeySet } from 'jose';
import { sql, type Kysely } from 'kysely';
import { OWN_ISSUERS } from '#adapters/oidc/jwks-identity-verifier/config.ts';
import type { PublishedIssuer } from '#adapters/issuer-server.ts';
import type { TokenIssuerSettings } from '#adapters/token-issuer-config.ts';
import type { Clock } from '#core/clock.ts';
import { isName, type TenantId } from '#core/domain/ids.ts';
import { isRole } from '#core/domain/role.ts';
import { PortError, type CallOptions } from '#core/errors.ts';
import type { SecretStore } from '#core/ports/secret-store.ts';
import type { TokenIssuer, TokenRecord, TokenRequest } from '#core/ports/token-issuer.ts';
import { abortable } from './abortable.ts';
import { chunks } from './chunks.ts';
import type { Migration } from './migrate.ts';
import { KeyRing, privateKeyOf, SIGNING_ALGORITHM, type StoredKey } from './signing-keys.ts';
import type { SqlDatabase } from './sql-database.ts';

const KEYS_SECRET = 'local-identity.keys';
const ISSUER_SECRET = 'local-identity.issuer';
/** Unexpired tokens of a tenant, revoked ones included. */
const MAX_TOKENS = 10_000;
const KEYS_LOCK = 'keys';
const TAKING_OVER_LOCK = 'taking over';
/** A verifier takes a token for so long after its end, at the most (`clockToleranceMs`): until then a revoked one is known. */
const TOLERATED_MS = 300_000;
/** A change that could not be read is tried again so often until it was. */
const READ_AGAIN_MS = 1_000;

export interface TokenSchema {
  issued_token: {
    id: string;
    tenant: string;
    subject: string;
    roles: string;
    created_at_ms: number;
    expires_at_ms: number;
    revoked: number;
  };
}

/** A token as it is listed. */
export type ListedToken = TokenSchema['issued_token'];

const migrations: readonly Migration[] = [
  {
    version: 1,
    up: async (db, { text }) => {
      await sql`create table issued_token (
        id ${text} primary key, tenant ${text} not null, subject text not null, roles text not null,
        created_at_ms bigint not null, expires_at_ms bigint not null, revoked integer not null default 0)`.execute(db);
      await sql`create index issued_token_tenant on issued_token (tenant, created_at_ms)`.execute(db);
    },
  },
];

export const tokenTables = { component: 'local-identity', migrations } as const;

/** What the issuer works with besides its tables. */
export interface IssuerParts {
  /** Keeps the issuer's name and keys. */
  readonly secrets: SecretStore;
  readonly clock: Clock;
}

/**
 * The issuer that a site has of its own: signs tokens as an OIDC provider does, with keys that are made at the first start and live in the secret
 * store. Tokens are not kept, only listed, so that they can be revoked. There is no password to begin with, and none later. All processes
 * with this database and these secrets are one issuer.
 */
export class SqlTokenIssuer implements TokenIssuer, PublishedIssuer, AsyncDisposable {
  readonly audience: string;
  readonly #settings: TokenIssuerSettings;
  readonly #secrets: SecretStore;
  readonly #clock: Clock;
  readonly #database: SqlDatabase<TokenSchema>;
  /** When each expires that was revoked: none is ever taken again. */
  readonly #revoked = new Map<string, number>();
  readonly #privateKeys = new Map<string, Promise<CryptoKey>>();
  #issuer = '';
  #ring = new KeyRing([]);
  #poll: NodeJS.Timeout | undefined;
  #again: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(database: SqlDatabase<TokenSchema>, settings: TokenIssuerSettings, { secrets, clock }: IssuerParts) {
    this.#database = database;
    this.#settings = settings;
    this.audience = settings.audience;
    this.#secrets = secrets;
    this.#clock = clock;
  }

  /** The `iss` claim: stable over restarts, whatever address the platform listens on. */
  get issuer(): string {
    return this.#issuer;
  }

  async issue(
    request: TokenRequest,
    { signal }: CallOptions = {},
  ): Promise<{ readonly token: string; readonly record: TokenRecord }> {
    return abortable(signal, async () => {
      this.#check(request);
      const createdAtMs = this.#clock.nowMs();
      const { tenant, subject, roles } = request;
      const expiresAtMs = createdAtMs + request.lifetimeMs;
      const listed = { id: randomUUID(), tenant, subject, roles, createdAtMs, expiresAtMs };
      const record: TokenRecord = { ...listed, revoked: false };
      await this.#renewKeys();
      // Nobody waits for a token that was added: only what was revoked is told.
      await this.#database.write(
        tenant,
        (db) => this.#insert(db, record),
        () => false,
      );
      return { token: await this.#sign(record), record };
    });
  }

  async listTokens(tenant: TenantId, { signal }: CallOptions = {}): Promise<readonly TokenRecord[]> {
    return abortable(signal, async () => {
      const rows = await this.#database.kysely
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
    });
  }

  async revoke(tenant: TenantId, id: string, { signal }: CallOptions = {}): Promise<void> {
    return abortable(signal, async () => {
      const expiresAtMs = await this.#database.write(tenant, async (db) => {
        const row = await db
          .updateTable('issued_token')
          .set({ revoked: 1 })
          .where('tenant', '=', tenant)
          .where('id', '=', id)
          .returning('expires_at_ms')
          .executeTakeFirst();
        if (!row) throw new PortError('not_found', `no token ${id} was issued for ${tenant}`);
        return row.expires_at_ms;
      });
      this.#revoked.set(id, expiresAtMs);
    });
  }

  /** Adds tokens of this issuer that were listed elsewhere before; what is here already stays as it is. */
  async takeOver(tokens: readonly ListedToken[]): Promise<void> {
    const overMs = this.#clock.nowMs() - TOLERATED_MS;
    const unexpired = tokens.filter(({ expires_at_ms: expiresAtMs }) => expiresAtMs > overMs);
    if (unexpired.length === 0) return;
    await this.#database.write(TAKING_OVER_LOCK, async (db) => {
      for (const chunk of chunks(unexpired)) {
        await db
          .insertInto('issued_token')
          .values([...chunk])
          .onConflict((conflict) => conflict.column('id').doNothing())
          .execute();
      }
    });
    await this.#readRevoked();
  }

  /** Whether a token of this issuer was revoked, as far as this process knows: at once for its own, soon for those of others. */
  isRevoked(tokenId: string): boolean {
    return this.#revoked.has(tokenId);
  }

  /** The public keys, for whoever verifies. */
  publicKeys(): JSONWebKeySet {
    return this.#ring.publicKeySet() as JSONWebKeySet;
  }

  /** Publishes a further key, which signs after the publish lead; the keys before it are published until their last token has expired. */
  async rotateKeys(): Promise<void> {
    await this.#database.write(KEYS_LOCK, async () => {
      const nowMs = this.#clock.nowMs();
      const stored = await this.#secrets.get(KEYS_SECRET);
      const ring = stored === undefined ? this.#ring : KeyRing.parse(stored);
      await this.#addKey(ring, nowMs + this.#settings.publishLeadMs);
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#poll);
    clearTimeout(this.#again);
    await this.#database.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** For an adapter to call once it was made: reads what there is, and makes what is not there yet. Where that fails, it is closed. */
  protected async start(): Promise<void> {
    try {
      // Under the lock, so that processes that start together make one issuer.
      this.#issuer = await this.#database.write(
        KEYS_LOCK,
        () => issuerName(this.#secrets),
        () => false,
      );
      await this.#renewKeys();
      this.#database.onChange(() => this.#readChanges());
      await this.#readRevoked();
      this.#poll = setInterval(() => void this.#readRevoked().catch(() => undefined), this.#settings.revokedPollMs);
      this.#poll.unref();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Reads what another process may have changed, and adds a key when there is none or the newest is old. */
  async #renewKeys(): Promise<void> {
    const renew = async (): Promise<boolean> => {
      const stored = await this.#secrets.get(KEYS_SECRET);
      const nowMs = this.#clock.nowMs();
      if (stored === undefined) {
        await this.#addKey(new KeyRing([]), nowMs);
        return true;
      }
      this.#ring = KeyRing.parse(stored);
      const newest = this.#ring.newest;
      const isDue = newest === undefined || nowMs - newest.createdAtMs > this.#settings.keyLifetimeMs;
      if (isDue) await this.#addKey(this.#ring, nowMs + this.#settings.publishLeadMs);
      return isDue;
    };
    await this.#database.write(KEYS_LOCK, renew, (isNew) => isNew);
  }

  async #addKey(ring: KeyRing, activeAtMs: number): Promise<void> {
    const nowMs = this.#clock.nowMs();
    const grown = await ring.withNewKey(randomBytes(12).toString('base64url'), nowMs, activeAtMs);
    const kept = grown.withoutRetired(nowMs, this.#settings.maxTokenLifetimeMs);
    await this.#secrets.put(KEYS_SECRET, kept.toJson());
    this.#ring = kept;
  }

  async #sign({ id, tenant, subject, roles, createdAtMs, expiresAtMs }: TokenRecord): Promise<string> {
    const key = this.#ring.active(this.#clock.nowMs());
    // No `nbf`: a clock that is set back a little would refuse every token that was issued since then.
    return new SignJWT({ tenant, roles })
      .setProtectedHeader({ alg: SIGNING_ALGORITHM, kid: key.kid, typ: 'JWT' })
      .setIssuer(this.issuer)
      .setAudience(this.audience)
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
    const { maxTokenLifetimeMs } = this.#settings;
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

  async #insert(db: Kysely<TokenSchema>, record: TokenRecord): Promise<void> {
    const { tenant } = record;
    await db
      .deleteFrom('issued_token')
      .where('tenant', '=', tenant)
      .where('expires_at_ms', '<=', record.createdAtMs - TOLERATED_MS)
      .execute();
    const { count } = await db
      .selectFrom('issued_token')
      .select((expression) => expression.fn.countAll<number>().as('count'))
      .where('tenant', '=', tenant)
      .where('expires_at_ms', '>', record.createdAtMs)
      .executeTakeFirstOrThrow();
    if (count >= MAX_TOKENS) {
      throw new PortError('resource_exhausted', `${tenant} has ${MAX_TOKENS} tokens; wait until some expire`);
    }
    await db
      .insertInto('issued_token')
      .values({
        id: record.id,
        tenant,
        subject: record.subject,
        roles: record.roles.join(','),
        created_at_ms: record.createdAtMs,
        expires_at_ms: record.expiresAtMs,
        revoked: 0,
      })
      .execute();
  }

  /** Another process may have revoked a token, or made a key that it soon signs with. What cannot be read now is read a little later. */
  #readChanges(): void {
    clearTimeout(this.#again);
    Promise.all([this.#readRevoked(), this.#readKeys()]).catch(() => {
      if (this.#isClosed) return;
      clearTimeout(this.#again);
      this.#again = setTimeout(() => this.#readChanges(), READ_AGAIN_MS).unref();
    });
  }

  async #readKeys(): Promise<void> {
    const stored = await this.#secrets.get(KEYS_SECRET);
    if (stored !== undefined) this.#ring = KeyRing.parse(stored);
  }

  async #readRevoked(): Promise<void> {
    const overMs = this.#clock.nowMs() - TOLERATED_MS;
    const rows = await this.#database.kysely
      .selectFrom('issued_token')
      .select(['id', 'expires_at_ms'])
      .where('revoked', '=', 1)
      .where('expires_at_ms', '>', overMs)
      .execute();
    for (const { id, expires_at_ms: expiresAtMs } of rows) this.#revoked.set(id, expiresAtMs);
    for (const [id, expiresAtMs] of this.#revoked) if (expiresAtMs <= overMs) this.#revoked.delete(id);
  }
}

async function issuerName(secrets: SecretStore): Promise<string> {
  const known = await secrets.get(ISSUER_SECRET);
  if (known !== undefined) return known;
  const made = `https://${randomBytes(8).toString('hex')}.${OWN_ISSUERS}`;
  await secrets.put(ISSUER_SECRET, made);
  return made;
}
