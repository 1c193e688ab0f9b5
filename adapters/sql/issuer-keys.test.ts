import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Transaction } from 'kysely';
import { z } from 'zod';
import { tokenIssuerShape } from '#adapters/token-issuer-config.ts';
import { systemClock } from '#core/clock.ts';
import { LaggingSecrets } from '#core/contracts/lagging-secrets.ts';
import { RememberedSecrets } from '#core/contracts/remembered-secrets.ts';
import { PortError } from '#core/errors.ts';
import type { SecretStore } from '#core/ports/secret-store.ts';
import { LateSecrets } from '#test/support/late-secrets.ts';
import { IssuerKeys } from './issuer-keys.ts';
import type { SqlDatabase } from './sql-database.ts';
import { SqliteFile } from './sqlite-file.ts';
import { tokenTables, type TokenSchema } from './token-tables.ts';

type Work<Result> = (db: Transaction<TokenSchema>) => Promise<Result>;

const SETTINGS = z.object(tokenIssuerShape).parse({});
const DAY_MS = 86_400_000;

let folder: string;
let file: SqliteFile<TokenSchema>;
let aheadMs: number;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tribo-keys-'));
  file = await SqliteFile.open<TokenSchema>({ path: join(folder, 'identity.db'), ...tokenTables });
  aheadMs = 0;
});
afterEach(async () => {
  await file.close();
  rmSync(folder, { recursive: true });
});

const clock = { ...systemClock, nowMs: () => Date.now() + aheadMs };
const keysOver = (secrets: SecretStore, database: SqlDatabase<TokenSchema> = file, readableWithinMs = 5_000) =>
  new IssuerKeys(database, SETTINGS, { secrets, clock, readableWithinMs });
const kidsOf = (keys: IssuerKeys) => keys.ring.keys.map(({ kid }) => kid);
const keyNames = (secrets: RememberedSecrets) => secrets.names.filter((name) => name.startsWith('local-identity.keys'));
const tell = () => undefined;

/** The database over a connection that is cut so many times when a transaction commits: before that was done, or before the answer. */
class CutDatabase implements SqlDatabase<TokenSchema> {
  cuts = 0;
  readonly #isCommitted: boolean;

  constructor(isCommitted: boolean) {
    this.#isCommitted = isCommitted;
  }

  get kysely() {
    return file.kysely;
  }

  async write<Result>(
    lock: string,
    work: Work<Result>,
    hasChanged: (result: Result) => boolean = () => true,
  ): Promise<Result> {
    const cut = new PortError('unavailable', 'the connection was cut');
    const isCut = this.cuts > 0;
    if (isCut) this.cuts--;
    const cutWork: Work<Result> = async (db) => {
      const done = await work(db);
      if (isCut && !this.#isCommitted) throw cut;
      return done;
    };
    const result = await file.write(lock, cutWork, hasChanged);
    if (isCut) throw cut;
    return result;
  }

  onChange(listener: () => void): () => void {
    return file.onChange(listener);
  }

  close(): Promise<void> {
    return file.close();
  }
}

describe('secrets of keys that nobody needs', () => {
  class AnsweringLate extends CutDatabase {
    beforeAnswer = (): Promise<void> => Promise.resolve();

    override async write<Result>(lock: string, work: Work<Result>): Promise<Result> {
      const result = await file.write(lock, work);
      await this.beforeAnswer();
      return result;
    }
  }

  it('are not those before the newest, also where a process learns of its own key before the answer to its commit', async () => {
    const secrets = new RememberedSecrets();
    const database = new AnsweringLate(true);
    const keys = keysOver(secrets, database);
    await keys.start();
    database.beforeAnswer = () => keys.learn();
    for (let made = 1; made <= 3; made++) await keys.rotate();
    await keys.tidy(tell);
    const lastTwo = kidsOf(keys).slice(-2);
    expect(keyNames(secrets)).toEqual(lastTwo.map((kid) => `local-identity.keys.${kid}`));
  });
});

describe('keys that are put late', () => {
  it('lock nobody out: another process made others meanwhile, and all go on with these', async () => {
    const secrets = new LateSecrets();
    await secrets.put('local-identity.issuer', 'https://site.example');
    secrets.isSlow = true;
    await expect(keysOver(secrets, file, 200).start()).rejects.toMatchObject({ code: 'deadline_exceeded' });
    secrets.isSlow = false;
    const keys = keysOver(secrets);
    await keys.start();
    await secrets.arrive();
    expect(keyNames(secrets)).toHaveLength(2);
    const other = keysOver(secrets);
    await other.start();
    expect(kidsOf(other)).toEqual(kidsOf(keys));
  });

  it('are no others than those that came at a further try', async () => {
    const secrets = new LateSecrets();
    const [keys, other] = [keysOver(secrets), keysOver(secrets)];
    await keys.start();
    secrets.isSlow = true;
    setTimeout(() => (secrets.isSlow = false), 300);
    await keys.rotate();
    await secrets.arrive();
    await other.start();
    expect(kidsOf(other)).toEqual(kidsOf(keys));
    expect(keyNames(secrets)).toEqual(kidsOf(keys).map((kid) => `local-identity.keys.${kid}`));
  });

  it('are deleted once another process was first, and it is told which could not be', async () => {
    const secrets = new LateSecrets();
    const [keys, other] = [keysOver(secrets), keysOver(secrets)];
    await keys.start();
    await other.start();
    aheadMs = SETTINGS.keyLifetimeMs + DAY_MS;
    secrets.isSlow = true;
    await expect(keys.renew()).rejects.toMatchObject({ code: 'deadline_exceeded' });
    secrets.isSlow = false;
    await other.renew();
    await secrets.arrive();
    expect(keyNames(secrets)).toHaveLength(3);
    await keys.learn();
    await keys.tidy(tell);
    expect(kidsOf(keys)).toEqual(kidsOf(other));
    expect(keyNames(secrets)).toEqual(kidsOf(keys).map((kid) => `local-identity.keys.${kid}`));
  });

  it('are replaced where it is long ago, as they would sign too soon after they are published', async () => {
    const secrets = new LateSecrets();
    const keys = keysOver(secrets);
    await keys.start();
    aheadMs = SETTINGS.keyLifetimeMs + DAY_MS;
    secrets.isSlow = true;
    await expect(keys.renew()).rejects.toMatchObject({ code: 'deadline_exceeded' });
    await secrets.arrive();
    secrets.isSlow = false;
    aheadMs += SETTINGS.publishLeadMs;
    await keys.renew();
    await keys.tidy(tell);
    expect(keys.ring.newest!.activeAtMs).toBeGreaterThan(clock.nowMs());
    expect(keyNames(secrets)).toEqual(kidsOf(keys).map((kid) => `local-identity.keys.${kid}`));
  });
});

describe.each([
  { lost: 'a commit', isCommitted: false },
  { lost: 'the answer to a commit', isCommitted: true },
])('where $lost is lost after the put', ({ isCommitted }) => {
  it.each([
    { shown: 'at once', secrets: () => new RememberedSecrets() },
    { shown: 'later', secrets: () => new LaggingSecrets(200) },
  ])('keys are made once, at the start and at a change of keys, where secrets are shown $shown', async (given) => {
    const secrets = given.secrets();
    const database = new CutDatabase(isCommitted);
    database.cuts = 1;
    const keys = keysOver(secrets, database);
    await keys.start();
    const [first] = kidsOf(keys);
    database.cuts = 1;
    await keys.rotate();
    expect(kidsOf(keys)).toEqual([first, expect.any(String)]);
    const other = keysOver(secrets);
    await other.start();
    expect(kidsOf(other)).toEqual(kidsOf(keys));
    if (secrets instanceof RememberedSecrets) expect(keyNames(secrets)).toHaveLength(2);
  });

  it('a process that knows of a key that it made by its next look, or its next try, has it once', async () => {
    const secrets = new RememberedSecrets();
    const database = new CutDatabase(isCommitted);
    const keys = keysOver(secrets, database);
    await keys.start();
    aheadMs = SETTINGS.keyLifetimeMs + DAY_MS;
    database.cuts = 1;
    await expect(keys.renew()).rejects.toMatchObject({ code: 'unavailable' });
    await keys.learn();
    await keys.renew();
    expect(kidsOf(keys)).toHaveLength(2);
    expect(keyNames(secrets)).toEqual(kidsOf(keys).map((kid) => `local-identity.keys.${kid}`));
  });
});

describe('a process that ends between putting keys and saying so', () => {
  class EndingDatabase extends CutDatabase {
    override async write<Result>(lock: string, work: Work<Result>): Promise<Result> {
      return file.write(lock, async (db) => {
        await work(db);
        throw new Error('the process ended');
      });
    }
  }

  it('leaves others to make keys, with all that they had', async () => {
    const secrets = new RememberedSecrets();
    await expect(keysOver(secrets, new EndingDatabase(false)).start()).rejects.toThrow('the process ended');
    const keys = keysOver(secrets);
    await keys.start();
    const ending = keysOver(secrets, new EndingDatabase(false));
    await ending.start();
    await expect(ending.rotate()).rejects.toThrow('the process ended');
    await keys.rotate();
    const other = keysOver(secrets);
    await other.start();
    expect(kidsOf(other)).toEqual(kidsOf(keys));
    expect(kidsOf(keys)).toHaveLength(2);
  });
});
