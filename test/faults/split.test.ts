import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SqliteAlarmJournal } from '#adapters/embedded/sqlite-alarm-journal/sqlite-alarm-journal.ts';
import { sqliteAlarmJournalConfigSchema } from '#adapters/embedded/sqlite-alarm-journal/config.ts';
import { systemClock } from '#core/clock.ts';
import { machineKey, type MachineId, type SiteId, type TenantId } from '#core/domain/ids.ts';
import type { AddedDevice } from '#services/api-gateway/schemas/devices.ts';
import { DEMO_MACHINES } from '#services/edge-simulator/plant.ts';
import { quantise16 } from '#services/edge-simulator/signal/quantise.ts';
import { createRandom } from '#services/edge-simulator/signal/random.ts';
import { synthesiseVibration } from '#services/edge-simulator/signal/vibration.ts';
import { connectPort } from '#services/shared/rpc/port-client.ts';
import { socketPath } from '#services/shared/rpc/socket-path.ts';
import { TIME_SERIES_PORT } from '#services/shared/rpc/time-series-port.ts';
import type { TimeSeriesStore } from '#core/ports/time-series-store.ts';
import { readAddress } from '#services/shared/process/service-address.ts';
import { unreadiness } from '#test/support/edge-requests.ts';
import { LedgerWatch } from '#test/support/ledger-watch.ts';
import { PlatformProcess, SITE, TENANT, until, type DeviceLogin } from '#test/support/platform-process.ts';
import { ResendingDevice, toBroker, type DeviceSample } from '#test/support/resending-device.ts';
import { compareWithStored, NOTHING_WRONG } from '#test/support/stored-events.ts';

const TIMEOUT_MS = 180_000;
const STOPS_WITHIN_MS = 10_000;
const DAY_MS = 86_400_000;
const TENANT_ID = TENANT as TenantId;
const PUMP = DEMO_MACHINES.find(({ description }) => description.id === 'pump-1')!;
const PUMP_KEY = machineKey(TENANT_ID, SITE as SiteId, 'pump-1' as MachineId);
const PRESS = 'press-1';
const PRESS_KEY = machineKey(TENANT_ID, SITE as SiteId, PRESS as MachineId);
const FANS = ['fan-1', 'fan-2', 'fan-3', 'fan-4'];
const SWING = 'swing';
const RATE_HZ = 25_600;
const SCALE = 16 / 32_768;
/** Each seed is another order and other moments to kill at. */
const SEED = Number(process.env['TRIBO_SEED'] ?? 1);
const SERVICES = [
  'timeseries-service',
  'alert-engine',
  'ml-service',
  'feature-service',
  'ingestion-service',
  'api-gateway',
];
/** Each service twice, and the whole tree. */
const FAULTS = 2 * SERVICES.length + 1;

/** One platform lives through all the cases, under load from beginning to end; the last cases say what became of what it acknowledged. */
describe(`each service as a process of its own, under load, seed ${SEED}`, () => {
  const numbers = createRandom(`split/${SEED}`);
  const random = (): number => numbers.uniform();
  let platform: PlatformProcess;
  let fans: ResendingDevice[];
  let press: ResendingDevice;
  let pump: ResendingDevice;
  let watch: LedgerWatch;
  const devices = () => [...fans, press, pump];

  beforeAll(async () => {
    platform = await PlatformProcess.start({ env: { TRIBO_SPLIT: 'true', TRIBO_LOG_LEVEL: 'error' } });
    const logins = await platform.addDevices([...FANS, PRESS], FANS.length + 1);
    const { mqttPort } = platform;
    fans = logins
      .slice(0, FANS.length)
      .map(
        (fan, nth) =>
          new ResendingDevice(toBroker(mqttPort, fan), readings(fan, `fan-${nth}`), { atOnce: 50, everyMs: 50 }),
      );
    const pressLogin = logins.at(-1)!;
    const each25Ms = { atOnce: 1, everyMs: 25 };
    press = new ResendingDevice(toBroker(mqttPort, pressLogin), readings(pressLogin, SWING), each25Ms);
    const pumpLogin = await addPump(platform);
    pump = new ResendingDevice(toBroker(mqttPort, pumpLogin), waveform(pumpLogin), { atOnce: 1, everyMs: 300 });
    watch = new LedgerWatch(platform);
  }, TIMEOUT_MS);

  afterAll(async () => {
    await watch.stop();
    await platform[Symbol.asyncDispose]();
  });

  it.each(shuffled(SERVICES, random))(
    '%s comes back after kill -9',
    async (service) => {
      await untilUnderLoad(devices());
      const pid = await pidOnceReady(platform, service);
      await sleep(200 + random() * 1000);
      process.kill(pid, 'SIGKILL');
      await until('the process is gone', async () => platform.pidOf(service) !== pid);
    },
    TIMEOUT_MS,
  );

  it.each(SERVICES)(
    '%s stops within 10 s of SIGTERM, and comes back',
    async (service) => {
      await untilUnderLoad(devices());
      const pid = await pidOnceReady(platform, service);
      const began = performance.now();
      process.kill(pid, 'SIGTERM');
      await until(`${service} has stopped`, async () => platform.processes().every((each) => each.pid !== pid));
      expect(performance.now() - began).toBeLessThan(STOPS_WITHIN_MS);
    },
    TIMEOUT_MS,
  );

  it(
    'the whole tree comes back after kill -9, and is ready',
    async () => {
      await untilUnderLoad(devices());
      await sleep(500 + random() * 1000);
      await platform.kill();
      await platform.startAgain();
      await until('the platform is ready', async () => Object.keys(await unreadiness(platform)).length === 0);
      await untilUnderLoad(devices());
    },
    TIMEOUT_MS,
  );

  it(
    'has given up on nothing',
    async () => {
      expect(await platform.api.request('GET', '/v1/dead-letters')).toEqual({ items: [] });
    },
    TIMEOUT_MS,
  );

  it(
    'has the features and the prediction of each waveform, once',
    async () => {
      for (const device of devices()) {
        await device.stop();
        // One at least before each fault, and after the last.
        expect(device.acknowledged.length).toBeGreaterThan(FAULTS);
      }
      const store = connectPort<TimeSeriesStore>(socketPath(platform.dataDir, TIME_SERIES_PORT), 'the store');
      try {
        for (const kind of ['features', 'prediction'] as const) {
          const range = { machine: PUMP_KEY, kind, fromMs: 0, toMs: Date.now() + DAY_MS, limit: 10_000 };
          const all = async () => (await store.documents(range)).map(({ ts }) => String(ts)).toSorted();
          await until(`${kind} of all waveforms`, async () => (await all()).length >= pump.acknowledged.length);
          expect(await all()).toEqual(pump.acknowledged);
        }
      } finally {
        store.disconnect();
      }
    },
    TIMEOUT_MS,
  );

  it(
    'has every alarm once: each swing over the limit was journalled as raised, and then as returned',
    async () => {
      const config = sqliteAlarmJournalConfigSchema.parse({ databasePath: join(platform.dataDir, 'alarms.db') });
      await using journal = await SqliteAlarmJournal.open(config, systemClock);
      const changes = async () => {
        const { entries } = await journal.entries({ tenant: TENANT_ID, fromMs: 0, toMs: 1e15, limit: 10_000 });
        return entries.filter(({ machine }) => machine === PRESS_KEY).map(({ transition }) => transition.type);
      };
      await until('all swings are judged', async () => (await changes()).length >= press.acknowledged.length);
      expect(await changes()).toEqual(press.acknowledged.map((_id, at) => (at % 2 === 0 ? 'activate' : 'return')));
    },
    TIMEOUT_MS,
  );

  it(
    'has stored once all that it acknowledged, and its ledger is exact',
    async () => {
      const ledger = await platform.drainedLedger();
      const seen = await watch.stop();
      expect(seen).toMatchObject({ wrong: [] });
      expect(seen.readings).toBeGreaterThan(0);
      expect(await platform.api.request('GET', '/v1/rejections')).toEqual({ items: [] });
      expect(ledger).toMatchObject({ exact: true, pending: 0, rejected: 0, deadLettered: 0 });
      expect(await platform.stop()).toMatchObject({ code: 0 });
      const acknowledged = [...fans, press].flatMap((device) => device.acknowledged);
      const sent = new Set(acknowledged);
      const comparison = await compareWithStored(platform.dataDir, {
        ...{ machines: [...FANS, PRESS], acknowledged, ledger },
        readingsOf: (id) => (sent.has(id) ? readingsUnder(id) : undefined),
      });
      const readings = acknowledged.flatMap((id) => Object.keys(readingsUnder(id))).length;
      expect(comparison).toEqual({ ...NOTHING_WRONG, stored: acknowledged.length, readings });
      console.info(
        `seed ${SEED}: ${acknowledged.length} readings and ${pump.acknowledged.length} waveforms acknowledged, ${ledger.duplicate} items came twice; ` +
          `ledger read ${seen.readings} times, unreadable ${seen.unreadable} times, at most ${seen.peakPending} pending`,
      );
    },
    TIMEOUT_MS,
  );
});

/** A fault of a platform that takes nothing would show nothing: each device has something acknowledged once more. */
async function untilUnderLoad(devices: readonly ResendingDevice[]): Promise<void> {
  const before = devices.map(({ acknowledged }) => acknowledged.length);
  await until('the load goes on', async () =>
    devices.every(({ acknowledged }, at) => acknowledged.length > before[at]!),
  );
}

/** The process of a service once it has said that it is ready. */
async function pidOnceReady(platform: PlatformProcess, service: string): Promise<number> {
  await until(`${service} runs and is ready`, async () => {
    const pid = platform.pidOf(service);
    return pid !== undefined && readAddress(platform.dataDir, service)?.pid === pid;
  });
  return platform.runningPid(service);
}

async function addPump(platform: PlatformProcess): Promise<DeviceLogin> {
  const { description } = PUMP;
  const machines = [{ ...description, operatingState: undefined }];
  await platform.api.request('PUT', '/v1/plant', { tenant: TENANT, site: SITE, machines });
  const place = { site: SITE, machine: description.id };
  const added = await platform.api.request<AddedDevice>('POST', '/v1/devices', { id: 'pump', machines: [place] });
  return { device: 'pump', secret: added.secret, topics: added.topics };
}

/** Messages of one machine, whose ids decide what they carry. */
function readings({ topics }: DeviceLogin, run: string) {
  return (count: number): DeviceSample => {
    const id = `${run}-${count}`;
    return { id, topic: topics[0]!, payload: JSON.stringify({ id, ts: Date.now(), metrics: readingsUnder(id) }) };
  };
}

/** A fan runs well. The press's current goes over its limit and back: an alarm that is raised by one reading and returns by the next. */
function readingsUnder(id: string): Readonly<Record<string, number>> {
  const count = Number(id.slice(id.lastIndexOf('-') + 1));
  return id.startsWith(SWING) ? { current_mean: count % 2 === 0 ? 12 : 5 } : { rpm: 1480, load: (count % 1000) / 1000 };
}

/** Waveforms of the demo's pump in good health; their id is their time. */
function waveform({ topics }: DeviceLogin) {
  const topic = topics[0]!.replace(/telemetry$/, 'waveform/de-radial');
  const point = { rpm: 2950, load: 0.8, faults: {} };
  return (count: number): DeviceSample => {
    const ts = Date.now();
    const recording = { sampleRateHz: RATE_HZ, points: 2048 };
    const samples = synthesiseVibration(PUMP.vibration, point, recording, createRandom(`split/${count}`));
    const bytes = Buffer.from(quantise16(samples, SCALE));
    const form = { sampleRateHz: RATE_HZ, unit: 'g', encoding: 'i16le', scale: SCALE, rpm: point.rpm };
    const payload = JSON.stringify({ id: String(ts), ts, ...form, samples: bytes.toString('base64') });
    return { id: String(ts), topic, payload };
  };
}

function shuffled<Item>(items: readonly Item[], random: () => number): Item[] {
  return items
    .map((item) => ({ item, at: random() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item);
}
