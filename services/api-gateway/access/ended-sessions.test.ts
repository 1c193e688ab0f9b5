import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { FileSecretStore } from '#adapters/embedded/file-secret-store/file-secret-store.ts';
import { SqliteCheckpointStore } from '#adapters/embedded/sqlite-checkpoint-store/sqlite-checkpoint-store.ts';
import { systemClock } from '#core/clock.ts';
import { until } from '#core/contracts/until.ts';
import { PortError } from '#core/errors.ts';
import type { CheckpointStore } from '#core/ports/checkpoint-store.ts';
import { EndedSessions } from './ended-sessions.ts';

const HOUR_MS = 3_600_000;
/** Longer than a test. */
const NEVER_MS = 600_000;
/** What the smallest of the checkpoint stores takes as one state: an item of DynamoDB. */
const SMALLEST_STORE_BYTES = 400_000;

let folder: string;
let checkpoints: SqliteCheckpointStore;
let nowMs: number;
const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs };
const opened: EndedSessions[] = [];
const throwing = (what: string, error: unknown): void => {
  throw new Error(what, { cause: error });
};
const open = async (lookEveryMs = NEVER_MS, store: CheckpointStore = checkpoints, onProblem = throwing) => {
  const ended = await EndedSessions.open(store, clock, { lookEveryMs, onProblem });
  opened.push(ended);
  return ended;
};
const idOf = (number: number) => Buffer.from(String(number).padStart(16, '0')).toString('base64url');

beforeEach(async () => {
  nowMs = 1_800_000_000_000;
  folder = mkdtempSync(join(tmpdir(), 'tribo-ended-'));
  checkpoints = await SqliteCheckpointStore.open({ databasePath: join(folder, 'state.db') }, systemClock);
});
afterEach(async () => {
  for (const each of opened.splice(0)) each.close();
  await checkpoints.close();
  rmSync(folder, { recursive: true });
});

describe('ended sessions', () => {
  it('are known at once, and after a restart until they would have expired', async () => {
    const ended = await open();
    const saved = ended.add('gone', nowMs + HOUR_MS);
    expect([ended.has('gone'), ended.has('other')]).toEqual([true, false]);
    await saved;
    expect((await open()).has('gone')).toBe(true);
    nowMs += HOUR_MS;
    await ended.add('another', nowMs + HOUR_MS);
    expect([(await open()).has('gone'), (await open()).has('another')]).toEqual([false, true]);
  });

  it('are known after a restart during which a connection breaks', async () => {
    await (await open()).add('gone', nowMs + HOUR_MS);
    let failures = 2;
    const load = checkpoints.load.bind(checkpoints);
    checkpoints.load = (...given) =>
      failures-- > 0 ? Promise.reject(new PortError('unavailable', 'read ECONNRESET')) : load(...given);
    expect((await open()).has('gone')).toBe(true);
    expect(failures).toBeLessThan(0);
  });

  it('of one copy are soon known at another', async () => {
    const [one, other] = [await open(), await open(10)];
    await one.add('gone', nowMs + HOUR_MS);
    await until(() => other.has('gone'));
    await one.add('gone-too', nowMs + HOUR_MS);
    await until(() => other.has('gone-too'));
    expect(other.has('another')).toBe(false);
  });

  it.each([
    ['a slice', /^api-gateway\.ended-sessions\.\d+$/],
    ['the count', /^api-gateway\.ended-sessions$/],
  ])(
    'are kept by a later look where %s could not be saved, known at other copies and to the next start',
    async (_, saved) => {
      let isAway = false;
      const told: string[] = [];
      const store: CheckpointStore = {
        load: (...given) => checkpoints.load(...given),
        save: async (...given) => {
          if (isAway && saved.test(given[0])) throw new PortError('unavailable', 'the store is away');
          return checkpoints.save(...given);
        },
        acquireLease: (...given) => checkpoints.acquireLease(...given),
        renewLease: (...given) => checkpoints.renewLease(...given),
        releaseLease: (...given) => checkpoints.releaseLease(...given),
      };
      const one = await open(10, store, (what) => void told.push(what));
      const other = await open(10);
      isAway = true;
      await expect(one.add('gone', nowMs + HOUR_MS)).rejects.toMatchObject({ code: 'unavailable' });
      await until(() => told.includes('keeping which sessions were ended'));
      expect([one.has('gone'), other.has('gone')]).toEqual([true, false]);
      isAway = false;
      await until(() => other.has('gone'));
      expect((await open()).has('gone')).toBe(true);
    },
  );

  it('of two processes that end some at once are all kept', async () => {
    const both = [await open(), await open()] as const;
    const ids = Array.from({ length: 40 }, (_, i) => idOf(i));
    await Promise.all(ids.map((id, i) => both[i % 2]!.add(id, nowMs + HOUR_MS)));
    const again = await open();
    expect(ids.filter((id) => !again.has(id))).toEqual([]);
  });

  it('are divided evenly, so that each slice takes its share before any is forgotten', async () => {
    const ended = await open();
    for (let first = 0; first < 256; first++)
      await ended.add(Buffer.alloc(16, first).toString('base64url'), nowMs + HOUR_MS);
    const sizes = Array.from({ length: 16 }, async (_, slice) => {
      const { state } = (await checkpoints.load(`api-gateway.ended-sessions.${slice}`))!;
      return Object.keys(JSON.parse(Buffer.from(state).toString()) as object).length;
    });
    expect(await Promise.all(sizes)).toEqual(Array.from({ length: 16 }, () => 16));
  });

  it('by the thousands fit into what every checkpoint store takes, the oldest forgotten', async () => {
    const ids = Array.from({ length: 630 }, (_, i) => `A${idOf(i)}`);
    const name = 'api-gateway.ended-sessions.0';
    const full = Object.fromEntries(ids.slice(0, 625).map((id) => [id, nowMs + HOUR_MS]));
    await checkpoints.save(name, Buffer.from(JSON.stringify(full)), 0);
    const ended = await open();
    for (const id of ids.slice(625)) await ended.add(id, nowMs + HOUR_MS);
    expect((await checkpoints.load(name))!.state.byteLength).toBeLessThan(SMALLEST_STORE_BYTES);
    const again = await open();
    expect(ids.filter((id) => again.has(id))).toEqual(ids.slice(5));
  });

  it('that were kept as a secret are taken over, and the secret is deleted', async () => {
    const secrets = new FileSecretStore({ directory: join(folder, 'secrets') });
    const before = { gone: nowMs + HOUR_MS, 'gone-too': nowMs + HOUR_MS, over: nowMs - 1 };
    await secrets.put('api-gateway.ended-sessions', JSON.stringify(before));
    await (await open()).takeOver(secrets);
    const again = await open();
    expect(['gone', 'gone-too', 'over'].map((id) => again.has(id))).toEqual([true, true, false]);
    expect(await secrets.get('api-gateway.ended-sessions')).toBeUndefined();
  });

  it('that cannot be read are told, with what to do, and not taken for none', async () => {
    await checkpoints.save('api-gateway.ended-sessions.3', Buffer.from('{"torn'), 0);
    await expect(open()).rejects.toMatchObject({
      code: 'data_loss',
      message:
        'checkpoint api-gateway.ended-sessions.3 cannot be read; delete it, and the checkpoint api-gateway.session-key and the secrets whose names begin so, which ends all sessions',
    });
  });
});
