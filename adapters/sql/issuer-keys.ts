import { randomBytes } from 'node:crypto';
import type { Kysely } from 'kysely';
import { OWN_ISSUERS } from '#adapters/oidc/jwks-identity-verifier/config.ts';
import type { TokenIssuerSettings } from '#adapters/token-issuer-config.ts';
import type { Clock } from '#core/clock.ts';
import { retry } from '#core/delivery/retry.ts';
import { PortError } from '#core/errors.ts';
import type { SecretStore } from '#core/ports/secret-store.ts';
import { KeyRing } from './signing-keys.ts';
import type { SqlDatabase } from './sql-database.ts';
import type { TokenSchema } from './token-tables.ts';

const KEYS_SECRET = 'local-identity.keys';
const ISSUER_SECRET = 'local-identity.issuer';
const KEYS_LOCK = 'keys';
/** A secret store may show for so long what it had before. */
const READABLE_WITHIN_MS = 60_000;
const READ_AGAIN = { maxAttempts: Infinity, firstDelayMs: 50, longestDelayMs: 1_000 } as const;

export interface IssuerKeysParts {
  /** Keeps the keys and, for a database to come, the issuer's name. What it shows may be behind what was put. */
  readonly secrets: SecretStore;
  readonly clock: Clock;
  /** How long keys that were agreed on are waited for. */
  readonly readableWithinMs?: number;
}

type Agreement = Pick<TokenSchema['token_issuer'], 'name' | 'newest_kid'>;

/**
 * The keys that all processes of an issuer sign with. Which is the newest stands in the database, which shows to each what was committed; the keys
 * themselves are a secret, and a secret store may show what it had before. So a process takes no keys without the newest of them, and makes none
 * because it does not see them: only where none were agreed on, or the newest, which it has, is old.
 */
export class IssuerKeys {
  readonly #database: SqlDatabase<TokenSchema>;
  readonly #settings: TokenIssuerSettings;
  readonly #secrets: SecretStore;
  readonly #clock: Clock;
  readonly #readableWithinMs: number;
  #ring = new KeyRing([]);
  #renewing: Promise<unknown> | undefined;

  constructor(
    database: SqlDatabase<TokenSchema>,
    settings: TokenIssuerSettings,
    { secrets, clock, readableWithinMs = READABLE_WITHIN_MS }: IssuerKeysParts,
  ) {
    this.#database = database;
    this.#settings = settings;
    this.#secrets = secrets;
    this.#clock = clock;
    this.#readableWithinMs = readableWithinMs;
  }

  get ring(): KeyRing {
    return this.#ring;
  }

  /**
   * Gives the issuer's name once its keys are here; both are made where there are none.
   * @throws PortError unavailable (the secret store does not show the keys), data_loss (damaged keys), and those of the stores.
   */
  async start(): Promise<string> {
    const { name } = (await agreementIn(this.#database.kysely)) ?? (await this.#agree());
    await this.#waitingFor(() => this.learn());
    await this.renew();
    return name;
  }

  /** Takes what another process has made. @throws PortError unavailable while the secret store does not show it. */
  async learn(): Promise<void> {
    const agreed = await agreementIn(this.#database.kysely);
    // Deleted, so that all tokens end: whoever starts next agrees anew.
    if (!agreed) return;
    const ring = this.#ring.has(agreed.newest_kid) ? this.#ring : await this.#read(agreed.newest_kid);
    const { kid } = ring.newest!;
    if (kid !== agreed.newest_kid) await this.#confirm(agreed.newest_kid, kid);
    if (!this.#ring.has(kid)) this.#ring = ring;
  }

  /** Makes a further key when the newest is old. */
  async renew(): Promise<void> {
    const { newest } = this.#ring;
    if (!newest || this.#clock.nowMs() - newest.createdAtMs <= this.#settings.keyLifetimeMs) return;
    // Those who ask meanwhile wait here, and not each with a connection at the lock.
    this.#renewing ??= this.#add().finally(() => (this.#renewing = undefined));
    await this.#renewing;
  }

  /** Makes a further key. */
  async rotate(): Promise<void> {
    await this.#waitingFor(async () => {
      await this.learn();
      if (!(await this.#add())) throw new PortError('unavailable', 'another process makes a key; try again');
    });
  }

  #waitingFor(attempt: () => Promise<void>): Promise<void> {
    return retry(attempt, { ...READ_AGAIN, withinMs: this.#readableWithinMs });
  }

  /** Under the lock, so that of processes that start together one decides. Keys that are there and were not agreed on are of a Tribo before this one. */
  #agree(): Promise<Agreement> {
    return this.#database.write(KEYS_LOCK, async (db) => {
      const agreed = await agreementIn(db);
      if (agreed) return agreed;
      const name = await issuerName(this.#secrets);
      const stored = await this.#secrets.get(KEYS_SECRET);
      const ring = stored === undefined ? await this.#put(new KeyRing([]), this.#clock.nowMs()) : KeyRing.parse(stored);
      const made: Agreement = { name, newest_kid: ring.newest!.kid };
      await db
        .insertInto('token_issuer')
        .values({ only_row: 1, ...made })
        .execute();
      this.#ring = ring;
      return made;
    });
  }

  /** False where another process was first. */
  #add(): Promise<boolean> {
    return this.#database.write(
      KEYS_LOCK,
      async (db) => {
        const agreed = await agreementIn(db);
        if (agreed?.newest_kid !== this.#ring.newest?.kid) return false;
        const ring = await this.#put(this.#ring, this.#clock.nowMs() + this.#settings.publishLeadMs);
        // Before others are told, as this process is then told, too, and need not ask the secret store.
        this.#ring = ring;
        await db.updateTable('token_issuer').set({ newest_kid: ring.newest!.kid }).execute();
        return true;
      },
      (isAdded) => isAdded,
    );
  }

  async #put(ring: KeyRing, activeAtMs: number): Promise<KeyRing> {
    const nowMs = this.#clock.nowMs();
    const grown = await ring.withNewKey(randomBytes(12).toString('base64url'), nowMs, activeAtMs);
    const kept = grown.withoutRetired(nowMs, this.#settings.maxTokenLifetimeMs);
    await this.#secrets.put(KEYS_SECRET, kept.toJson());
    return kept;
  }

  async #read(agreedKid: string): Promise<KeyRing> {
    const stored = await this.#secrets.get(KEYS_SECRET);
    const ring = stored === undefined ? undefined : KeyRing.parse(stored);
    if (ring?.has(agreedKid)) return ring;
    throw new PortError(
      'unavailable',
      `the secret ${KEYS_SECRET} ${ring ? 'lacks the newest key' : 'is absent'}, ${agreedKid} of the table token_issuer: the secret store may show it later; if it was lost, bring it back, or delete the row of that table, which ends all tokens, and start anew`,
    );
  }

  /** A newer key than agreed on is of a process that died before it could say so, or the database was set back: none is to be made in its place. */
  async #confirm(agreedKid: string, newestKid: string): Promise<void> {
    const agreed = await this.#database.write(
      KEYS_LOCK,
      async (db) => {
        await db
          .updateTable('token_issuer')
          .set({ newest_kid: newestKid })
          .where('newest_kid', '=', agreedKid)
          .execute();
        return agreementIn(db);
      },
      () => false,
    );
    if (agreed?.newest_kid !== newestKid) throw new PortError('unavailable', 'another process has just made a key');
  }
}

async function agreementIn(db: Kysely<TokenSchema>): Promise<Agreement | undefined> {
  return db.selectFrom('token_issuer').select(['name', 'newest_kid']).executeTakeFirst();
}

async function issuerName(secrets: SecretStore): Promise<string> {
  const known = await secrets.get(ISSUER_SECRET);
  if (known !== undefined) return known;
  const made = `https://${randomBytes(8).toString('hex')}.${OWN_ISSUERS}`;
  await secrets.put(ISSUER_SECRET, made);
  return made;
}
