import { randomUUID } from 'node:crypto';
import { SignJWT, type CryptoKey, type JSONWebKeySet } from 'jose';
import type { Kysely } from 'kysely';
import type { ProblemListener, PublishedIssuer } from '#adapters/issuer-server.ts';
import type { TokenIssuerSettings } from '#adapters/token-issuer-config.ts';
import type { Clock } from '#core/clock.ts';
import { isName, type TenantId } from '#core/domain/ids.ts';
import { isRole } from '#core/domain/role.ts';
import { messageOf, PortError, type CallOptions } from '#core/errors.ts';
import type { TokenIssuer, TokenRecord, TokenRequest } from '#core/ports/token-issuer.ts';
import { abortable } from './abortable.ts';
import { chunks } from './chunks.ts';
import { IssuerKeys, type IssuerKeysParts } from './issuer-keys.ts';
import { privateKeyOf, SIGNING_ALGORITHM, type StoredKey } from './signing-keys.ts';
import type { SqlDatabase } from './sql-database.ts';
import type { ListedToken, TokenSchema } from './token-tables.ts';

/** Unexpired tokens of a tenant, revoked ones included. */
const MAX_TOKENS = 10_000;
const TAKING_OVER_LOCK = 'taking over';
/** A verifier takes a token for so long after its end, at the most (`clockToleranceMs`): until then a revoked one is known. */
const TOLERATED_MS = 300_000;
/** A change that could not be read is tried again so often until it was. */
const READ_AGAIN_MS = 1_000;

/**
 * The issuer that a site has of its own: signs tokens as an OIDC provider does, with keys that are made at the first start and live in the secret
 * store. Tokens are not kept, only listed, so that they can be revoked. There is no password to begin with, and none later. All processes
 * with this database and these secrets are one issuer, also where what the secret store shows is behind.
 */
export class SqlTokenIssuer implements TokenIssuer, PublishedIssuer, AsyncDisposable {
  readonly audience: string;
  readonly #settings: TokenIssuerSettings;
  readonly #clock: Clock;
  readonly #database: SqlDatabase<TokenSchema>;
  readonly #keys: IssuerKeys;
  /** When each expires that was revoked: none is ever taken again. */
  readonly #revoked = new Map<string, number>();
  readonly #privateKeys = new Map<string, Promise<CryptoKey>>();
  #issuer = '';
  #poll: NodeJS.Timeout | undefined;
  #again: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #hasNews = false;
  #problem: string | undefined;
  #onProblem: ProblemListener = () => undefined;
  #isClosed = false;

  constructor(database: SqlDatabase<TokenSchema>, settings: TokenIssuerSettings, parts: IssuerKeysParts) {
    this.#database = database;
    this.#settings = settings;
    this.audience = settings.audience;
    this.#clock = parts.clock;
    this.#keys = new IssuerKeys(database, settings, parts);
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
      await this.#keys.renew();
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
    return this.#keys.ring.publicKeySet() as JSONWebKeySet;
  }

  /** Publishes a further key, which signs after the publish lead; the keys before it are published until their last token has expired. */
  rotateKeys(): Promise<void> {
    return this.#keys.rotate();
  }

  problem(): string | undefined {
    return this.#problem;
  }

  onProblem(listener: ProblemListener): void {
    this.#onProblem = listener;
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
      this.#issuer = await this.#keys.start();
      this.#database.onChange(() => this.#look());
      await this.#readNews();
      // One that is slow is not asked for again.
      this.#poll = setInterval(() => {
        if (!this.#looking) this.#look();
      }, this.#settings.revokedPollMs);
      this.#poll.unref();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async #sign({ id, tenant, subject, roles, createdAtMs, expiresAtMs }: TokenRecord): Promise<string> {
    const key = this.#keys.ring.active(this.#clock.nowMs());
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

  /** Another process may have revoked a token, or made a key. It is read by one reading at a time, which begins after the news came. */
  #look(): void {
    this.#hasNews = true;
    this.#looking ??= this.#readWhileNews();
  }

  async #readWhileNews(): Promise<void> {
    while (this.#hasNews && !this.#isClosed) {
      this.#hasNews = false;
      clearTimeout(this.#again);
      await this.#readNews().then(
        () => {
          this.#problem = undefined;
          // Nobody waits for it, as what is revoked is to be read meanwhile.
          if (!this.#isClosed) void this.#keys.tidy((...told) => this.#onProblem(...told));
        },
        (error: unknown) => this.#tryAgain(error),
      );
    }
    this.#looking = undefined;
  }

  #tryAgain(error: unknown): void {
    if (this.#isClosed) return;
    this.#again = setTimeout(() => this.#look(), READ_AGAIN_MS).unref();
    const problem = messageOf(error);
    if (problem !== this.#problem) this.#onProblem('reading what other processes revoked and sign with', error);
    this.#problem = problem;
  }

  /** What was revoked first, as keys may not be there to be read yet. */
  async #readNews(): Promise<void> {
    await this.#readRevoked();
    await this.#keys.learn();
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
