import { join } from 'node:path';
import { expect } from '@jest/globals';
import { PostgresTimeSeriesStore } from '#adapters/postgres/postgres-time-series-store/postgres-time-series-store.ts';
import { postgresTimeSeriesStoreConfigSchema } from '#adapters/postgres/postgres-time-series-store/config.ts';
import { machineKey, type MachineId, type SiteId, type TenantId } from '#core/domain/ids.ts';
import { LedgerWatch } from './ledger-watch.ts';
import { acknowledgedIds, startLoad } from './load-process.ts';
import { PlatformProcess, SITE, TENANT, until } from './platform-process.ts';

const MACHINES = Array.from({ length: 8 }, (_, machine) => `m-${machine}`);
const METRICS = ['velocity_rms', 'temperature', 'rpm'];
const CONNECTIONS = 4;

/**
 * A platform on these ports, whose time series are in the database, takes readings by MQTT while its store is killed, and then all of it with
 * what its publisher had not said: every message that was acknowledged is stored, none twice, and the ledger says so.
 */
export async function killAndCount(
  portsFile: string,
  connection: { readonly host: string; readonly port: number; readonly schema: string },
  ratePerS: number,
): Promise<void> {
  await using platform = await PlatformProcess.start({
    env: { TRIBO_PORTS_FILE: portsFile, TRIBO_LOG_LEVEL: 'error' },
  });
  const ackFile = join(platform.dataDir, 'acknowledged');
  const devices = await platform.addDevices(MACHINES, CONNECTIONS);
  await using load = startLoad({
    ...{ port: platform.mqttPort, connections: devices, metrics: METRICS, idPrefix: 'count', ackFile },
    ...{ maxInFlight: 50, ratePerS, seconds: 240, drainSeconds: 20, reconnect: true },
  });
  await load.begun(ackFile);
  const goesOn = async () => {
    const before = acknowledgedIds(ackFile).length;
    const stored = (await platform.ledger().catch(() => undefined))?.stored ?? 0;
    const storesMore = async () => ((await platform.ledger().catch(() => undefined))?.stored ?? 0) > stored;
    await until(
      'more is acknowledged and stored',
      async () => acknowledgedIds(ackFile).length > before + 2 * ratePerS && (await storesMore()),
    );
  };
  const watch = new LedgerWatch(platform);
  await goesOn();
  process.kill(platform.runningPid('timeseries-service'), 'SIGKILL');
  await goesOn();
  expect(await watch.stop()).toMatchObject({ wrong: [] });
  await platform.kill();
  await platform.startAgain();
  await goesOn();
  const { acknowledged: count } = await load.finish();
  const ledger = await platform.drainedLedger();
  expect(ledger).toMatchObject({ exact: true, pending: 0, lost: 0, rejected: 0, deadLettered: 0 });
  const acknowledged = acknowledgedIds(ackFile);
  expect(acknowledged).toHaveLength(count);
  expect(await platform.stop()).toMatchObject({ code: 0 });
  const stored = await storedIds(connection);
  const once = new Set(stored);
  expect(once.size).toBe(stored.length);
  expect(acknowledged.filter((id) => !once.has(id))).toEqual([]);
  expect(ledger.stored).toBe(stored.length * METRICS.length);
}

async function storedIds(connection: object): Promise<readonly string[]> {
  const store = await PostgresTimeSeriesStore.open(postgresTimeSeriesStoreConfigSchema.parse(connection));
  try {
    const range = { fromMs: 0, toMs: 4e12 };
    const keys = MACHINES.map((machine) => machineKey(TENANT as TenantId, SITE as SiteId, machine as MachineId));
    return (await Promise.all(keys.map((key) => store.storedEventIds(key, range)))).flat();
  } finally {
    await store.close();
  }
}
