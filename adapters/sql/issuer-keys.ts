import { randomBytes } from 'node:crypto';
import type { Kysely } from 'kysely';
import type { ProblemListener } from '#adapters/issuer-server.ts';
import { OWN_ISSUERS } from '#adapters/oidc/jwks-identity-verifier/config.ts';
import type { TokenIssuerSettings } from '#adapters/token-issuer-config.ts';
import type { Clock } from '#core/clock.ts';
import { AgreedSecret, type SecretVersion } from '#core/delivery/agreed-secret.ts';
import { retry } from '#core/delivery/retry.ts';
import { PortError } from '#core/errors.ts';
import type { SecretStore } from '#core/ports/secret-store.ts';
import { KeyRing } from './signing-keys.ts';
import type { SqlDatabase } from './sql-database.ts';
import type { TokenSchema } from './token-tables.ts';

/** How the names of the secrets begin, before the newest key's `kid`. A Tribo before this one kept all keys under this name itself. */
const KEYS_SECRET = 'local-identity.keys';
const ISSUER_SECRET = 'local-identity.issuer';
const REMEDY =
  'delete the row of the table token_issuer and the secrets whose names begin with local-identity.keys, which ends all tokens, and start anew';
const KEYS_LOCK = 'keys';
/** A secret store may show for so long what it had before. */
const READABLE_WITHIN_MS = 60_000;
const READ_AGAIN = { maxAttempts: Infinity, firstDelayMs: 50, longestDelayMs: 1_000 } as const;
/** A key that was not agreed on is proposed again for so long: later it would sign too soon after it is published. */
const PROPOSED_AGAIN_MS = 60_000;

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
 * themselves are a secret that has the newest key's `kid` in its name, and a secret store may show it later than it was put. So a process takes no
 * keys without the newest of them, and makes none because it does not see them: only where none were agreed on, or the newest, which it has, is old.
 * The secret of the keys before stays, for a database that is set back; those before that are deleted.
 */
export class IssuerKeys {
  readonly #database: SqlDatabase<TokenSchema>;
  readonly #settings: TokenIssuerSettings;
  readonly #secrets: SecretStore;
  readonly #agreed: AgreedSecret;
  readonly #clock: Clock;
  readonly #readableWithinMs: number;
  #ring = new KeyRing([]);
  /** The name of the secret that has the ring. */
  #heldIn = '';
  #renewing: Promise<unknown> | undefined;

  constructor(
    database: SqlDatabase<TokenSchema>,
    settings: TokenIssuerSettings,
    { secrets, clock, readableWithinMs = READABLE_WITHIN_MS }: IssuerKeysParts,
  ) {
    this.#database = database;
    this.#settings = settings;
    this.#secrets = secrets;
    this.#agreed = new AgreedSecret(secrets, KEYS_SECRET, REMEDY);
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
    const name = await this.#waitingFor(async () => {
      const agreed = (await agreementIn(this.#database.kysely)) ?? (await this.#agree());
      await this.learn();
      return agreed.name;
    });
    await this.renew();
    return name;
  }

  /** Takes what another process has made. @throws PortError unavailable while the secret store does not show it. */
  async learn(): Promise<void> {
    const agreed = await agreementIn(this.#database.kysely);
    // Deleted, so that all tokens end: whoever starts next agrees anew.
    if (!agreed) return;
    const held = this.#ring.has(agreed.newest_kid) ? undefined : await this.#read(agreed.newest_kid);
    const ring = held ? KeyRing.parse(held.value) : this.#ring;
    const { kid } = ring.newest!;
    if (kid !== agreed.newest_kid) await this.#confirm(agreed.newest_kid, kid);
    if (held && !this.#ring.has(kid)) this.#take(held);
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
      // A key that is proposed already is this one, also where what was agreed on only seemed to fail.
      if (!this.#agreed.pending) await this.learn();
      if (await this.#add()) return;
      await this.learn();
      throw new PortError('unavailable', 'another process makes a key; try again');
    });
  }

  /** Deletes secrets that nobody needs. Never rejects: what could not be deleted is told. */
  tidy(onProblem: ProblemListener): Promise<void> {
    return this.#agreed.tidy(onProblem);
  }

  #waitingFor<Result>(attempt: () => Promise<Result>): Promise<Result> {
    return retry(attempt, { ...READ_AGAIN, withinMs: this.#readableWithinMs });
  }

  /** Under the lock, so that of processes that start together one decides. */
  #agree(): Promise<Agreement> {
    return this.#database.write(KEYS_LOCK, async (db) => {
      const agreed = await agreementIn(db);
      if (agreed) return agreed;
      const name = await issuerName(this.#secrets);
      const proposed = (await this.#kept()) ?? (await this.#proposal(this.#clock.nowMs()));
      const made: Agreement = { name, newest_kid: newestKidIn(proposed) };
      // Before the put, so that only a commit that fails leaves a secret that nobody agreed on.
      await db
        .insertInto('token_issuer')
        .values({ only_row: 1, ...made })
        .execute();
      await this.#agreed.put(proposed);
      return made;
    });
  }

  /** Keys that have the bare name and were not agreed on are of a Tribo before this one. */
  async #kept(): Promise<SecretVersion | undefined> {
    const stored = await this.#secrets.get(KEYS_SECRET);
    return stored === undefined ? undefined : this.#agreed.propose(KeyRing.parse(stored).newest!.kid, stored);
  }

  /** False where another process was first. */
  async #add(): Promise<boolean> {
    const added = await this.#database.write(
      KEYS_LOCK,
      async (db) => {
        const agreed = await agreementIn(db);
        const { pending } = this.#agreed;
        // A commit that seemed to fail did not.
        if (agreed && pending?.name === this.#agreed.nameOf(agreed.newest_kid)) return pending;
        if (agreed?.newest_kid !== this.#ring.newest?.kid) return undefined;
        const proposed = await this.#proposal(this.#clock.nowMs() + this.#settings.publishLeadMs);
        await db
          .updateTable('token_issuer')
          .set({ newest_kid: newestKidIn(proposed) })
          .execute();
        await this.#agreed.put(proposed);
        return proposed;
      },
      (proposed) => proposed !== undefined,
    );
    if (!added) return false;
    this.#take(added);
    return true;
  }

  /** A further key, of which the same is proposed again where it was not agreed on. */
  async #proposal(activeAtMs: number): Promise<SecretVersion> {
    const nowMs = this.#clock.nowMs();
    const { pending } = this.#agreed;
    if (pending && nowMs - KeyRing.parse(pending.value).newest!.createdAtMs <= PROPOSED_AGAIN_MS) return pending;
    const kid = randomBytes(12).toString('base64url');
    const grown = await this.#ring.withNewKey(kid, nowMs, activeAtMs);
    return this.#agreed.propose(kid, grown.withoutRetired(nowMs, this.#settings.maxTokenLifetimeMs).toJson());
  }

  #read(agreedKid: string): Promise<SecretVersion> {
    const names = [this.#agreed.nameOf(agreedKid), KEYS_SECRET];
    return this.#agreed.read(names, (json) => KeyRing.parse(json).has(agreedKid));
  }

  #take({ name, value }: SecretVersion): void {
    this.#agreed.settle(name);
    // Learned of already, while the answer to the commit was on its way.
    if (name === this.#heldIn) return;
    // Known only to whoever had the keys before. Each does it, as the process that made the key may have died.
    if (this.#ring.newest) {
      const before = [KEYS_SECRET, ...this.#ring.keys.map(({ kid }) => this.#agreed.nameOf(kid))];
      this.#agreed.retire(before.filter((each) => each !== name && each !== this.#heldIn));
    }
    this.#ring = KeyRing.parse(value);
    this.#heldIn = name;
  }

  /** A newer key than agreed on is of a Tribo before this one that died before it could say so, or the database was set back: none is to be made in its place. */
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

function newestKidIn({ value }: SecretVersion): string {
  return KeyRing.parse(value).newest!.kid;
}

async function issuerName(secrets: SecretStore): Promise<string> {
  const known = await secrets.get(ISSUER_SECRET);
  if (known !== undefined) return known;
  const made = `https://${randomBytes(8).toString('hex')}.${OWN_ISSUERS}`;
  await secrets.put(ISSUER_SECRET, made);
  return made;
}
