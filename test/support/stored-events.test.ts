import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { DuckDBInstance } from '@duckdb/node-api';
import { DuckDbTimeSeriesStore } from '#adapters/embedded/duckdb-time-series-store/duckdb-time-series-store.ts';
import { batchOf } from '#adapters/embedded/duckdb-time-series-store/testing/telemetry.ts';
import { stampedEvent } from '#core/contracts/sample-event.ts';
import { machineKey, type MachineId, type SiteId, type TenantId } from '#core/domain/ids.ts';
import type { EventOutcome } from '#core/ports/time-series-store.ts';
import { readingsSent } from './load-process.ts';
import { messageId, readingsOfMessage } from './load/publisher.ts';
import { SITE, TENANT } from './platform-process.ts';
import { compareWithStored, NOTHING_WRONG, type Comparison } from './stored-events.ts';

const MACHINE = 'press-1';
const METRICS = ['velocity_rms', 'temperature'];
const PREFIX = 'load-0-0-';
const MESSAGES = 4;
const BEGIN_MS = Date.UTC(2026, 0, 15);

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'tribo-oracle-'));
  const store = await DuckDbTimeSeriesStore.open({ directory: join(dataDir, 'time-series') });
  await store.settle(batchOf(Array.from({ length: MESSAGES }, (_, counter) => outcome(counter))));
  await store.close();
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

describe('the comparison of what was sent with what is stored', () => {
  it('finds nothing wrong where each reading has its row', async () => {
    expect(await compared()).toEqual({ ...NOTHING_WRONG, stored: MESSAGES, readings: MESSAGES * METRICS.length });
  });

  const [, reading = ''] = readingsOf(2);
  const value = readingsOfMessage(METRICS, 2)['temperature']!;
  const other = readingsOfMessage(METRICS, 1)['temperature']!;
  const faults: readonly [what: string, sql: string, found: Partial<Comparison>][] = [
    [
      'a reading whose row is gone, although its event and the counters are there',
      `DELETE FROM readings_g1 WHERE value = ${value}`,
      { readings: 7, lostReadings: [reading], miscounted: 1 },
    ],
    [
      'a row that is there twice',
      `INSERT INTO readings_g1 SELECT * FROM readings_g1 WHERE value = ${value}`,
      { readings: 9, strayReadings: [reading], miscounted: -1 },
    ],
    [
      'one row twice instead of another, which no count shows',
      `UPDATE readings_g1 SET value = ${value}, ts = ${BEGIN_MS + 2} WHERE value = ${other}`,
      { strayReadings: [reading], lostReadings: readingsOf(1).slice(1), miscounted: 0 },
    ],
    [
      'an event that is gone',
      `DELETE FROM events_g1 WHERE event_id = '${messageId(PREFIX, 3)}'`,
      { stored: 3, missing: [messageId(PREFIX, 3)], strayReadings: readingsOf(3) },
    ],
    [
      'an event under an id that was never sent',
      `UPDATE events_g1 SET event_id = '${messageId(PREFIX, MESSAGES)}' WHERE event_id = '${messageId(PREFIX, 3)}'`,
      { missing: [messageId(PREFIX, 3)], neverSent: [messageId(PREFIX, MESSAGES)] },
    ],
    [
      'an event that is there twice',
      `INSERT INTO events_g1 SELECT * FROM events_g1 WHERE event_id = '${messageId(PREFIX, 0)}'`,
      { twice: [messageId(PREFIX, 0)], lostReadings: readingsOf(0) },
    ],
  ];
  it.each(faults)('finds %s', async (_what, sql, found) => {
    await inFile(sql);
    expect(await compared()).toMatchObject(found);
  });
});

/** As the comparison shows them. */
function readingsOf(counter: number): string[] {
  const readings = Object.entries(readingsOfMessage(METRICS, counter));
  return readings.map(([metric, value]) => `${MACHINE} ${metric} ${BEGIN_MS + counter} ${value}`);
}

function compared(): Promise<Comparison> {
  return compareWithStored(dataDir, {
    machines: [MACHINE],
    acknowledged: Array.from({ length: MESSAGES }, (_, counter) => messageId(PREFIX, counter)),
    readingsOf: readingsSent(METRICS, { sentUnder: { [PREFIX]: MESSAGES } }),
    ledger: { stored: MESSAGES * METRICS.length },
  });
}

async function inFile(sql: string): Promise<void> {
  const instance = await DuckDBInstance.create(join(dataDir, 'time-series', 'timeseries.duckdb'));
  const connection = await instance.connect();
  await connection.run(sql);
  connection.closeSync();
  instance.closeSync();
}

function outcome(counter: number): EventOutcome {
  const seq = counter + 1;
  const ts = BEGIN_MS + counter;
  const readings = Object.entries(readingsOfMessage(METRICS, counter)).map(([metric, value]) => ({ metric, value }));
  return {
    type: 'readings',
    ts,
    readings,
    event: stampedEvent(seq, {
      ...{ eventId: messageId(PREFIX, counter), items: METRICS.length, acceptedAtMs: ts },
      key: machineKey(TENANT as TenantId, SITE as SiteId, MACHINE as MachineId),
    }),
  };
}
