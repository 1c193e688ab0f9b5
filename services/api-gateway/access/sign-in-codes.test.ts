import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { SqliteCheckpointStore } from '#adapters/embedded/sqlite-checkpoint-store/sqlite-checkpoint-store.ts';
import { systemClock } from '#core/clock.ts';
import type { TenantId } from '#core/domain/ids.ts';
import type { CheckpointStore } from '#core/ports/checkpoint-store.ts';
import { SignInCodes } from './sign-in-codes.ts';

const NAME = 'api-gateway.sign-in-codes';
const MARIA = { subject: 'maria', tenant: 'north' as TenantId, roles: ['operator'] } as const;
const LONGEST = { subject: 's'.repeat(64), tenant: 't'.repeat(64) as TenantId, roles: ['admin', 'engineer'] } as const;
/** What the smallest of the checkpoint stores takes as one state: an item of DynamoDB. */
const SMALLEST_STORE_BYTES = 400_000;

let folder: string;
let checkpoints: SqliteCheckpointStore;
let nowMs: number;
const copy = () => new SignInCodes(checkpoints, { nowMs: () => nowMs, monotonicMs: () => nowMs });

beforeEach(async () => {
  nowMs = 1_800_000_000_000;
  folder = mkdtempSync(join(tmpdir(), 'tribo-codes-'));
  checkpoints = await SqliteCheckpointStore.open({ databasePath: join(folder, 'state.db') }, systemClock);
});
afterEach(async () => {
  await checkpoints.close();
  rmSync(folder, { recursive: true });
});

describe('codes of sign-in links', () => {
  it('that one copy made are redeemed at any, once', async () => {
    const [one, other] = [copy(), copy()];
    expect(await other.redeem('guessed')).toBeUndefined();
    const { code } = await one.issue(MARIA);
    expect(await other.redeem(code)).toEqual(MARIA);
    expect([await one.redeem(code), await other.redeem(code), await copy().redeem(code)]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('that several copies redeem at once let one person in', async () => {
    const { code } = await copy().issue(MARIA);
    const redeemed = await Promise.all(Array.from({ length: 8 }, () => copy().redeem(code)));
    expect(redeemed.filter((each) => each !== undefined)).toEqual([MARIA]);
  });

  it('that several copies make at once are all kept', async () => {
    const copies = Array.from({ length: 4 }, copy);
    const made = await Promise.all(copies.flatMap((each) => [each.issue(MARIA), each.issue(MARIA)]));
    for (const { code } of made) expect(await copy().redeem(code)).toEqual(MARIA);
  });

  it('are over after ten minutes', async () => {
    const { code, expiresAtMs } = await copy().issue(MARIA);
    expect(expiresAtMs - nowMs).toBe(600_000);
    nowMs = expiresAtMs;
    expect(await copy().redeem(code)).toBeUndefined();
  });

  it('are kept as hashes alone', async () => {
    const { code } = await copy().issue(MARIA);
    expect(Buffer.from((await checkpoints.load(NAME))!.state).toString()).not.toContain(code);
  });

  it('by the hundreds fit into what every checkpoint store takes, the oldest void', async () => {
    const codes = copy();
    const first = await codes.issue(LONGEST);
    for (let index = 0; index < 500; index++) {
      nowMs += 1;
      await codes.issue(LONGEST);
    }
    expect((await checkpoints.load(NAME))!.state.byteLength).toBeLessThan(SMALLEST_STORE_BYTES);
    expect(await codes.redeem(first.code)).toBeUndefined();
  });

  it('of a tenant that makes too many are void, and those of others are not', async () => {
    const codes = copy();
    const marias = await codes.issue(MARIA);
    const made = [];
    for (let index = 0; index < 500; index++) {
      nowMs += 1;
      made.push(await codes.issue(LONGEST));
    }
    expect(await codes.redeem(made[0]!.code)).toBeUndefined();
    expect(await codes.redeem(marias.code)).toEqual(MARIA);
    expect(await codes.redeem(made[1]!.code)).toEqual(LONGEST);
  });

  it('are redeemed at any copy after what is kept of them was deleted, or set back, meanwhile', async () => {
    let store = checkpoints;
    const shared: CheckpointStore = {
      load: (...given) => store.load(...given),
      save: (...given) => store.save(...given),
      acquireLease: (...given) => store.acquireLease(...given),
      renewLease: (...given) => store.renewLease(...given),
      releaseLease: (...given) => store.releaseLease(...given),
    };
    const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs };
    const [one, other] = [new SignInCodes(shared, clock), new SignInCodes(shared, clock)];
    for (let index = 0; index < 3; index++) expect(await other.redeem((await one.issue(MARIA)).code)).toEqual(MARIA);
    store = await SqliteCheckpointStore.open({ databasePath: join(folder, 'empty.db') }, systemClock);
    try {
      expect(await one.redeem('guessed')).toBeUndefined();
      const { code } = await one.issue(MARIA);
      expect(await other.redeem(code)).toEqual(MARIA);
    } finally {
      await store.close();
    }
  });

  it('that cannot be read are told, with what to do, and not taken for none', async () => {
    await checkpoints.save(NAME, Buffer.from('{"torn'), 0);
    await expect(copy().redeem('x')).rejects.toMatchObject({
      code: 'data_loss',
      message: `checkpoint ${NAME} cannot be read; delete it, which makes the sign-in links of the last ten minutes void`,
    });
  });
});
