import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { DuckDBInstance } from '@duckdb/node-api';
import { stampedEvent } from '#core/contracts/sample-event.ts';
import type { MachineKey, TenantId } from '#core/domain/ids.ts';
import type { EventOutcome } from '#core/ports/time-series-store.ts';
import { DuckDbTimeSeriesStore } from './duckdb-time-series-store.ts';
import { SCHEMA_VERSION } from './schema.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tribo-format-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function inFile(sql: string): Promise<unknown[][]> {
  const instance = await DuckDBInstance.create(join(directory, 'timeseries.duckdb'));
  const connection = await instance.connect();
  const result = await connection.runAndReadAll(sql);
  connection.closeSync();
  instance.closeSync();
  return result.getRows();
}

describe('the format of the file', () => {
  it('is written with its version', async () => {
    await (await DuckDbTimeSeriesStore.open({ directory })).close();
    expect(await inFile('SELECT max(version) FROM schema_version')).toEqual([[SCHEMA_VERSION]]);
  });

  it('is refused when a newer Tribo wrote it, and left as it is', async () => {
    await (await DuckDbTimeSeriesStore.open({ directory })).close();
    await inFile(`INSERT INTO schema_version VALUES (${SCHEMA_VERSION + 1})`);
    await expect(DuckDbTimeSeriesStore.open({ directory })).rejects.toMatchObject({
      code: 'failed_precondition',
      message: expect.stringContaining('start the newer Tribo, or restore a backup'),
    });
    expect(await inFile('SELECT max(version) FROM schema_version')).toEqual([[SCHEMA_VERSION + 1]]);
  });

  it('is begun anew where opening was cut off before the first step', async () => {
    await inFile('CREATE TABLE schema_version (version INTEGER)');
    const store = await DuckDbTimeSeriesStore.open({ directory });
    expect(await store.settled()).toEqual([]);
    await store.close();
  });

  it('of before units were kept is migrated: what it holds counts as in the unit asked for', async () => {
    const outcome = (seq: number, units?: ReadonlyMap<string, string>): EventOutcome => {
      const key = 'acme/akron/press-7' as MachineKey;
      const event = stampedEvent(seq, { key, kind: 'telemetry', acceptedAtMs: Date.now(), payload: new Uint8Array(0) });
      return { type: 'readings', event, ts: seq, readings: [{ metric: 't', value: seq }], units };
    };
    const settle = (store: DuckDbTimeSeriesStore, ...outcomes: EventOutcome[]) =>
      store.settle({ stream: 'metrics', group: 'store', fence: 1, outcomes });
    const before = await DuckDbTimeSeriesStore.open({ directory });
    await settle(before, outcome(1));
    await before.close();
    await inFile('DELETE FROM schema_version WHERE version > 2; DROP TABLE moved_parts');
    const store = await DuckDbTimeSeriesStore.open({ directory });
    await settle(store, outcome(2, new Map([['t', 'Cel']])), outcome(3, new Map()));
    const machine = 'acme/akron/press-7' as MachineKey;
    const query = { machine, metric: 't', unit: 'Cel', fromMs: 0, toMs: 9, stepMs: 0, aggregates: [], limit: 9 };
    const { columns, leftOut } = await store.series(query);
    expect([Array.from(columns['value']!), leftOut]).toEqual([[1, 2], [null]]);
    const folder = join(directory, 'export');
    await store.exportParquet({ fromMs: 0, toMs: 9 }, folder);
    await store.close();
    const exported = await inFile(`SELECT unit FROM '${folder}/*.parquet' ORDER BY ts`);
    expect(exported.map(([unit]) => unit)).toEqual([null, 'Cel', null]);
  });

  it('is refused where the file is something else', async () => {
    const { writeFile } = await import('node:fs/promises');
    await writeFile(join(directory, 'timeseries.duckdb'), 'this is no database');
    await expect(DuckDbTimeSeriesStore.open({ directory })).rejects.toMatchObject({ code: 'data_loss' });
  });
});

describe('the ledger of the file', () => {
  it('is read whole, also with the publishers of years: 200,000 epochs are settled as far as they were', async () => {
    await (await DuckDbTimeSeriesStore.open({ directory })).close();
    const key = `'["progress","metrics","store","edge/0",' || n || ']'`;
    await inFile(`INSERT INTO ledger_state SELECT ${key}, n + 1, n FROM range(200_000) AS epochs(n)`);
    const store = await DuckDbTimeSeriesStore.open({ directory });
    const progress = await store.progress('metrics', 'store');
    expect(progress).toHaveLength(200_000);
    expect(progress.find(({ epoch }) => epoch === 199_999)).toEqual({ source: 'edge/0', epoch: 199_999, seq: 200_000 });
    await store.close();
  });
});

describe('the machines of the file', () => {
  it('do not grow with made-up names: 10,000 unknown machines are counted and listed, and none is numbered', async () => {
    const store = await DuckDbTimeSeriesStore.open({ directory });
    const outcomes = Array.from({ length: 10_000 }, (_unused, i): EventOutcome => {
      const key = `acme/akron/ghost-${i}` as MachineKey;
      const stated = { eventId: `~r${i}`, kind: 'rejection', acceptedAtMs: Date.now() } as const;
      const event = stampedEvent(i + 1, { ...stated, key, payload: new Uint8Array(0) });
      const rejections = [{ code: 'unknown_machine', pointer: '', detail: `nobody has described ${key}` }];
      return { type: 'rejected', event, rejections };
    });
    await store.settle({ stream: 'metrics', group: 'store', fence: 1, outcomes });
    const tenant = 'acme' as TenantId;
    expect(await store.settled()).toMatchObject([{ tenant, settled: { rejected: 10_000 } }]);
    expect(await store.rejections({ tenant, limit: 1 })).toMatchObject([{ machine: 'acme/akron/ghost-9999' }]);
    await store.close();
    expect(await inFile('SELECT count(*)::INTEGER FROM machines')).toEqual([[0]]);
  });
});
