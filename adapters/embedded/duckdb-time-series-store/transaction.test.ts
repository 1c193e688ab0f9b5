import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '#core/clock.ts';
import { Database } from './database.ts';
import { needsReopen, portErrorOf } from './errors.ts';
import { DEFAULT_LIMITS, Maintenance } from './maintenance.ts';
import { Settler } from './settler.ts';
import { loadMemory, type StoreMemory } from './store-memory.ts';
import { batchOf, messages } from './testing/telemetry.ts';

const NOW_MS = Date.UTC(2026, 0, 15);

let directory: string;
let database: Database;
let memory: StoreMemory;
let settler: Settler;
let maintenance: Maintenance;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tribo-transaction-'));
  database = await Database.open({ directory, memoryLimitMiB: 192, maxConcurrentQueries: 1 });
  memory = await loadMemory(database.writer);
  settler = new Settler(database, memory, systemClock, () => undefined);
  maintenance = new Maintenance(database, memory, settler, (task) => task(), { ...DEFAULT_LIMITS, sealRows: 1 });
});

afterEach(async () => {
  await database.close();
  rmSync(directory, { recursive: true });
});

describe('a statement that fails in a transaction', () => {
  it('leaves none open when a part begins: the next settlement works', async () => {
    await database.maintenance.run('CREATE TABLE events_g1 (in_the_way INTEGER)');
    await expect(settler.settle(batchOf(messages(1, 10)))).rejects.toThrow(/events_g1/);
    await database.maintenance.run('DROP TABLE events_g1');
    const { added } = await settler.settle(batchOf(messages(1, 10)));
    expect([...added.values()]).toMatchObject([{ stored: 30 }]);
  });

  it('leaves none open when maintenance compacts: the next run works', async () => {
    await settler.settle(batchOf(messages(1, 10)));
    const outgrown = 110_000;
    await database.maintenance.run(
      `INSERT INTO latest SELECT 0, i, 1.0, 0, i FROM range(${outgrown}) t(i); CREATE TABLE latest_joined (in_the_way INTEGER);`,
    );
    await expect(maintenance.run(NOW_MS)).rejects.toThrow(/latest_joined/);
    await database.maintenance.run('DROP TABLE latest_joined');
    await settler.settle(batchOf(messages(11, 20)));
    expect(await maintenance.run(NOW_MS + 60_000)).toMatchObject({ rolledUpRows: 30 });
    const left = await database.maintenance.runAndReadAll('SELECT count(*) FROM latest');
    expect(Number(left.getRows()[0]![0])).toBeLessThan(outgrown);
  });

  it.each(['settling', 'maintaining'] as const)(
    'is rolled back by the next call, where somebody else left it open: %s',
    async (work) => {
      const connection = work === 'settling' ? database.writer : database.maintenance;
      if (work === 'maintaining') await settler.settle(batchOf(messages(1, 10)));
      await connection.run('BEGIN');
      const call = () =>
        work === 'settling' ? settler.settle(batchOf(messages(1, 10))) : maintenance.rollUp(NOW_MS + 60_000);
      const error: unknown = await call().catch((thrown: unknown) => thrown);
      expect(needsReopen(error)).toBe(true);
      expect(portErrorOf(error, 'settle').code).toBe('unavailable');
      await expect(call()).resolves.toBeDefined();
    },
  );
});
