import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { machineKey, type MachineId, type SiteId, type TenantId } from '#core/domain/ids.ts';
import type { TimeSeriesStore } from '#core/ports/time-series-store.ts';
import type { AlarmView } from '#services/api-gateway/schemas/alarms.ts';
import type { AddedDevice } from '#services/api-gateway/schemas/devices.ts';
import { demoPlant } from '#services/edge-simulator/plant.ts';
import { quantise16 } from '#services/edge-simulator/signal/quantise.ts';
import type { TakenBackup } from '#services/platform/backup/take-backup.ts';
import { readAddress } from '#services/shared/process/service-address.ts';
import { connectPort } from '#services/shared/rpc/port-client.ts';
import { socketPath } from '#services/shared/rpc/socket-path.ts';
import { TIME_SERIES_PORT } from '#services/shared/rpc/time-series-port.ts';
import { attention, unreadiness } from '#test/support/edge-requests.ts';
import { LedgerWatch } from '#test/support/ledger-watch.ts';
import { loginOf, PlatformProcess, SITE, TENANT, until, type DeviceLogin } from '#test/support/platform-process.ts';
import { ResendingDevice, type DeviceSample } from '#test/support/resending-device.ts';
import { SimulatorProcess } from '#test/support/simulator-process.ts';
import { awsSite } from './aws-site.ts';
import { azureSite } from './azure-site.ts';
import { googleSite } from './google-site.ts';
import { kafkaSite } from './kafka-site.ts';
import { embeddedSite, ownBroker, type Site, type SiteGateway } from './site.ts';

const INSTALLS_WITHIN_MS = 900_000;
const TIMEOUT_MS = 240_000;
const DAY_MS = 86_400_000;
const SITES: readonly (readonly [string, () => Promise<Site>])[] = [
  ['embedded', embeddedSite],
  ['Kafka, PostgreSQL and S3', kafkaSite],
  ['AWS', awsSite],
  ['Azure', azureSite],
  ['Google Cloud', googleSite],
];
const FANS = ['fan-1', 'fan-2', 'fan-3'];
const OVEN = 'oven';
const PUMP = 'pump';
const MACHINES = [...FANS, OVEN, PUMP];
/** Of the demo plant, as the simulator has it: its bearing fails within twenty seconds. */
const WORN = demoPlant().machines.find(({ id }) => id === 'pump-1')!;
const WORN_ITEMS = WORN.metrics!.filter(({ optional }) => optional !== true).length;
const AGEING = ['--speed', '4'];
/** Each reads a stream by a group of its own, and writes what it makes of it elsewhere. */
const CONSUMERS = ['timeseries-service', 'feature-service', 'ml-service', 'alert-engine'];
const PACE = { atOnce: 10, everyMs: 500 };
const SENSOR = 'de-radial';
const RATE_HZ = 25_600;
const SAMPLES = 2048;
const SCALE = 1 / 32_768;
const RULES = [
  { kind: 'threshold', id: 'hot', text: 'Too hot', metric: 'heat', direction: 'above', limit: 200 },
  // By how much what the outer race strikes with stands out of the envelope's spectrum.
  { kind: 'feature', id: 'worn', text: 'Outer race worn', feature: 'env_bpfo_ratio', direction: 'above', limit: 15 },
];

/** The same steps on each, each after the one before; only the file that says where ports are had from differs. */
describe.each(SITES)('a platform on %s', (_name, startSite) => {
  const opened = new AsyncDisposableStack();
  let site: Site;
  let folder: string;
  let platform: PlatformProcess;
  let store: ReturnType<typeof connectPort<TimeSeriesStore>>;
  let watch: LedgerWatch;
  let gateway: SiteGateway;
  let logins: readonly DeviceLogin[];
  let devices: readonly ResendingDevice[];
  let simulator: SimulatorProcess;
  const sentBy = (machine: string) => devices[MACHINES.indexOf(machine)]!.acknowledged;
  /** As the store knows them. */
  const eventsOf = (machine: string) =>
    sentBy(machine)
      .map((id) => (machine === PUMP ? `waveform/${SENSOR}/${id}` : id))
      .toSorted();
  const key = (machine: string) => machineKey(TENANT as TenantId, SITE as SiteId, machine as MachineId);
  const stopDevices = async () => {
    for (const device of devices) await device.stop();
  };
  const alarms = async (machine = OVEN) =>
    (await platform.api.request<{ items: readonly AlarmView[] }>('GET', `/v1/alarms?machine=${machine}&site=${SITE}`))
      .items;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tribo-site-'));
    opened.defer(() => rmSync(folder, { recursive: true }));
    site = opened.use(await startSite());
    const { ports } = site;
    const env: Record<string, string> = { ...site.env, TRIBO_SPLIT: 'true', TRIBO_LOG_LEVEL: 'error' };
    if (ports) {
      env['TRIBO_PORTS_FILE'] = join(folder, 'ports.json');
      writeFileSync(env['TRIBO_PORTS_FILE'], JSON.stringify(ports));
    }
    platform = opened.use(await PlatformProcess.start({ env }));
    store = connectPort<TimeSeriesStore>(socketPath(platform.dataDir, TIME_SERIES_PORT), 'the store');
    opened.defer(() => store.disconnect());
  }, INSTALLS_WITHIN_MS);

  afterAll(() => opened.disposeAsync());

  const eventually = (what: string, holds: () => Promise<boolean>) =>
    until(what, holds).catch(async (error: unknown) => {
      const asked = [unreadiness(platform), attention(platform), platform.ledger(), alarms(WORN.id)];
      const known = JSON.stringify(await Promise.allSettled(asked));
      throw new Error(`${String(error)}\n${known}\n${platform.log}\n${simulator.log}`, { cause: error });
    });
  const step = (what: string, run: () => Promise<void>) => it(what, run, TIMEOUT_MS);

  step('takes in readings and waveforms of its devices, and is ready', async () => {
    for (const rule of RULES) await platform.api.request('PUT', `/v1/rules/${rule.id}`, rule, { 'if-none-match': '*' });
    logins = await platform.addDevices(MACHINES, MACHINES.length);
    const worn = await addWornPump(platform);
    const { pace = PACE } = site;
    gateway = site.gateway ?? ownBroker(platform.mqttPort);
    const waveformTopic = ({ topics: [telemetry = ''] }: DeviceLogin) =>
      gateway.waveformTopic?.(telemetry, SENSOR) ?? telemetry.replace(/telemetry$/, `waveform/${SENSOR}`);
    devices = logins.map((login, at) => {
      const connect = () => gateway.connect(login);
      return MACHINES[at] === PUMP
        ? new ResendingDevice(connect, waveformsOf(waveformTopic(login)), { atOnce: 1, everyMs: 1000 })
        : new ResendingDevice(connect, readingsOf(login, MACHINES[at]!), pace);
    });
    const { credentials, flags } = gateway.simulator(worn, folder);
    simulator = opened.use(
      new SimulatorProcess({
        ...{ folder: join(folder, 'simulator'), machines: [WORN.id], device: worn.device, credentials },
        flags: [...flags, ...AGEING],
      }),
    );
    opened.defer(stopDevices);
    watch = opened.use(new LedgerWatch(platform));
    await untilUnderLoad(devices, platform);
    await until('it is ready', async () => Object.keys(await unreadiness(platform)).length === 0);
  });

  step('raises an alarm of what is too hot', async () => {
    await until('the alarm is listed', async () => (await alarms()).length > 0);
  });

  it.each(CONSUMERS)(
    'goes on after kill -9 of %s',
    async (service) => {
      await untilUnderLoad(devices, platform);
      const pid = platform.runningPid(service);
      process.kill(pid, 'SIGKILL');
      await eventually(`${service} is back`, async () => {
        const now = platform.pidOf(service);
        return now !== undefined && now !== pid && readAddress(platform.dataDir, service)?.pid === now;
      });
      await untilUnderLoad(devices, platform);
      await until('it is ready', async () => Object.keys(await unreadiness(platform)).length === 0);
    },
    TIMEOUT_MS,
  );

  step('goes on after kill -9 of all of it', async () => {
    expect(await watch.stop()).toMatchObject({ wrong: [] });
    await platform.kill();
    await platform.startAgain();
    await untilUnderLoad(devices, platform);
    await until('it is ready', async () => Object.keys(await unreadiness(platform)).length === 0);
  });

  step('has one alarm, however often it was judged, which is acknowledged', async () => {
    const [alarm, ...more] = await alarms();
    expect(more).toEqual([]);
    expect(alarm).toMatchObject({ machine: OVEN, state: 'unacknowledged', active: true });
    await platform.api.request('POST', `/v1/alarms/${alarm!.id}/acknowledge`, { comment: 'seen' });
    expect(await alarms()).toMatchObject([{ id: alarm!.id, state: 'acknowledged' }]);
  });

  step('raises an alarm of the bearing that wears out', async () => {
    // What is judged of a failed bearing swings, at times below the limit.
    let worn: readonly AlarmView[] = [];
    await eventually('the alarm is active', async () => {
      worn = (await alarms(WORN.id)).filter(({ title }) => title === 'Outer race worn');
      return worn.some(({ active }) => active);
    });
    expect(worn).toMatchObject([{ state: 'unacknowledged', active: true }]);
  });

  step('has the features and the prediction of each waveform, once', async () => {
    await stopDevices();
    expect(await simulator.stop()).toBe(0);
    const sent = sentBy(PUMP).toSorted();
    expect(sent.length).toBeGreaterThan(CONSUMERS.length);
    for (const kind of ['features', 'prediction'] as const) {
      const range = { machine: key(PUMP), kind, fromMs: 0, toMs: Date.now() + DAY_MS, limit: 10_000 };
      const all = async () => (await store.documents(range)).map(({ ts }) => String(ts)).toSorted();
      await eventually(`${kind} of all waveforms`, async () => (await all()).length >= sent.length);
      expect(await all()).toEqual(sent);
    }
  });

  step('brings a device its command', async () => {
    const [login] = logins;
    const device = await gateway.connect(login!);
    const commands: string[] = [];
    await device.onCommand(key(MACHINES[0]!), (payload) => commands.push(Buffer.from(payload).toString()));
    expect(await platform.command('device', 'command', login!.device, '{"action":"restart"}')).toMatchObject({
      code: 0,
    });
    await until('the command arrives', async () => commands.length > 0);
    expect(commands).toEqual([expect.stringContaining('"restart"')]);
    await device.disconnect();
  });

  step('has stored once all that it acknowledged, and its ledger is exact', async () => {
    const range = { fromMs: 0, toMs: Date.now() + DAY_MS };
    const storedOf = (machine: string) => store.storedEventIds(key(machine), range);
    // A broker of the site may have acknowledged what the platform takes only now.
    for (const machine of MACHINES)
      await until(
        `all of ${machine} is stored`,
        async () => (await storedOf(machine)).length >= sentBy(machine).length,
      );
    const lackingOfWorn = async () => {
      const ids = new Set((await storedOf(WORN.id)).map((id) => id.split('/').at(-1)));
      return simulator.acknowledged.filter((id) => !ids.has(id));
    };
    await until(`all of ${WORN.id} is stored`, async () => (await lackingOfWorn()).length === 0);
    const ledger = await platform.drainedLedger();
    for (const machine of MACHINES)
      expect([machine, (await storedOf(machine)).toSorted()]).toEqual([machine, eventsOf(machine)]);
    const ofWorn = await storedOf(WORN.id);
    expect(new Set(ofWorn).size).toBe(ofWorn.length);
    const waveforms = ofWorn.filter((id) => id.startsWith('waveform/'));
    const items = (ofWorn.length - waveforms.length) * WORN_ITEMS + waveforms.length;
    const stored = MACHINES.flatMap(sentBy).length + items;
    expect(ledger).toMatchObject({ exact: true, stored, rejected: 0, deadLettered: 0, pending: 0, lost: 0 });
    expect(ledger.accepted).toBe(ledger.stored + ledger.duplicate);
  });

  step('backs up what is kept on this machine, and says what is not', async () => {
    const { stdout, code } = await platform.command('--json', 'backup', join(folder, 'backup'));
    expect(code).toBe(0);
    const { elsewhere } = JSON.parse(stdout) as TakenBackup;
    const isHeld = (path: string) => existsSync(join(folder, 'backup', 'data', path));
    for (const [port, path] of [
      ['timeSeriesStore', 'time-series'],
      ['eventStream', 'streams'],
      ['objectStore', 'objects'],
      ['machineRegistry', 'registry.db'],
      ['alarmJournal', 'alarms.db'],
    ] as const)
      expect([port, isHeld(path)]).toEqual([port, elsewhere[port] === undefined]);
    const doctor = await platform.command('doctor');
    for (const [port, adapter] of Object.entries(elsewhere)) expect(doctor.stdout).toContain(`${port} (${adapter})`);
  });

  step('knows all of it after a stop and a start, and exports it in between', async () => {
    const before = await platform.ledger();
    expect(await platform.stop()).toMatchObject({ code: 0 });
    const exported = await platform.command('--json', 'export', join(folder, 'export'), '--machine', OVEN);
    const { rows } = JSON.parse(exported.stdout) as { readonly rows: number };
    // Its windows are readings, too.
    expect(rows).toBeGreaterThanOrEqual(sentBy(OVEN).length);
    await platform.startAgain();
    const { accepted, stored, duplicate } = before;
    expect(await platform.drainedLedger()).toMatchObject({ accepted, stored, duplicate, exact: true });
    expect(await alarms()).toMatchObject([{ machine: OVEN, state: 'acknowledged' }]);
  });
});

/** Each device has something acknowledged once more, and more is stored: a broker of the site acknowledges by itself. */
async function untilUnderLoad(devices: readonly ResendingDevice[], platform: PlatformProcess): Promise<void> {
  const before = devices.map(({ acknowledged }) => acknowledged.length);
  const stored = async () => (await platform.ledger().catch(() => undefined))?.stored;
  let storedBefore: number | undefined;
  await until('the ledger is read', async () => (storedBefore = await stored()) !== undefined);
  await until('the load goes on', async () =>
    devices.every(({ acknowledged }, at) => acknowledged.length > before[at]!),
  );
  await until('more is stored', async () => ((await stored()) ?? 0) > storedBefore!);
}

/** With a device of its own, as a plant that is described. */
async function addWornPump({ api }: PlatformProcess): Promise<DeviceLogin> {
  await api.request('PUT', '/v1/plant', { tenant: TENANT, site: SITE, machines: [WORN] });
  const asked = { id: WORN.id, machines: [{ site: SITE, machine: WORN.id }] };
  return loginOf(await api.request<AddedDevice>('POST', '/v1/devices', asked));
}

/** Messages of one reading each; an oven is always too hot. */
function readingsOf({ topics }: DeviceLogin, machine: string) {
  return (count: number): DeviceSample => {
    const id = `${machine}-${count}`;
    const metrics = machine === OVEN ? { heat: 250 + (count % 10) } : { load: (count % 1000) / 1000 };
    return { id, topic: topics[0]!, payload: JSON.stringify({ id, ts: Date.now(), metrics }) };
  };
}

/** A sine; the id of a waveform is its time. */
function waveformsOf(topic: string) {
  const sine = Float64Array.from({ length: SAMPLES }, (_, at) => 0.2 * Math.sin((2 * Math.PI * 50 * at) / RATE_HZ));
  const samples = Buffer.from(quantise16(sine, SCALE)).toString('base64');
  return (): DeviceSample => {
    const ts = Date.now();
    const form = { sampleRateHz: RATE_HZ, unit: 'g', encoding: 'i16le', scale: SCALE, rpm: 1480, samples };
    return { id: String(ts), topic, payload: JSON.stringify({ id: String(ts), ts, ...form }) };
  };
}
