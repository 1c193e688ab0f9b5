import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { atStart, declareGroup } from '#core/delivery/at-start.ts';
import { machineKey, machineRef, type MachineId, type SiteId, type TenantId } from '#core/domain/ids.ts';
import type { BatchHandler } from '#core/ports/event-stream.ts';
import type { TimeSeriesStore } from '#core/ports/time-series-store.ts';
import type { AlarmView } from '#services/api-gateway/schemas/alarms.ts';
import { connectPort } from '#services/shared/rpc/port-client.ts';
import { socketPath } from '#services/shared/rpc/socket-path.ts';
import { TIME_SERIES_PORT } from '#services/shared/rpc/time-series-port.ts';
import { attention, unreadiness } from '#test/support/edge-requests.ts';
import { LedgerWatch } from '#test/support/ledger-watch.ts';
import { acknowledgedIds, readingsSent, startLoad, type RunningLoad } from '#test/support/load-process.ts';
import { PlatformProcess, SITE, TENANT, until, type DeviceLogin } from '#test/support/platform-process.ts';
import { ResendingDevice, toHttp, type DeviceSample, type Pace } from '#test/support/resending-device.ts';
import type { FaultySite, FaultySiteKind } from './faulty-site.ts';
import { OBSERVED, OBSERVER, ownBroker, type SiteGateway } from './site.ts';

const INSTALLS_WITHIN_MS = 900_000;
const TIMEOUT_MS = 240_000;
const DAY_MS = 86_400_000;
/** Of each sends one device, a message after the other. */
const FAN = 'fan';
const PUMP = 'pump';
const BY_HTTP = 'by-http';
/** Devices that have many messages under way; at the platform's own broker they do not send them again. */
const BULK = ['bulk-1', 'bulk-2'];
const BULK_METRICS = ['load'];
const EVERY_MS = 100;
const WAVEFORM_EVERY_MS = 500;
const SEVERAL: Pace = { atOnce: 20, everyMs: 200 };
const SENSOR = 'de';
const FORM = { sampleRateHz: 25_600, unit: 'g', encoding: 'i16le', scale: 0.001, rpm: 1480 } as const;
const SAMPLES = Buffer.from(Int16Array.from({ length: 512 }, (_, at) => 8000 * Math.sin(at / 5)).buffer);
const HOT = { kind: 'threshold', id: 'hot', text: 'Too hot', metric: 'heat', direction: 'above', limit: 200 };
/** How often something must have gone wrong where the work goes on meanwhile. */
const TIMES = 10;

/** One platform lives through all of a site's faults, under load from beginning to end; the last cases say what became of what it acknowledged. */
export function describePlatformUnderFaults<Place extends FaultySite>({
  name,
  start,
  asItStarts,
  faults,
}: FaultySiteKind<Place>): void {
  describe(`a platform on ${name}`, () => {
    const ovens = faults.map((_fault, at) => `oven-${at}`);
    const machines = [FAN, PUMP, ...BULK, BY_HTTP, ...ovens];
    const opened = new AsyncDisposableStack();
    const seen = new Map<string, string[]>();
    const devices = new Map<string, ResendingDevice>();
    let site: Place;
    let platform: PlatformProcess;
    /** At the platform's own broker, which alone it can reach. */
    let load: RunningLoad | undefined;
    let ackFile: string;
    /** How often each had gone wrong before it was ready. */
    let timesAtStart: readonly number[] = [];
    let watch: LedgerWatch;
    let store: ReturnType<typeof connectPort<TimeSeriesStore>>;
    const key = (machine: string) => machineKey(TENANT as TenantId, SITE as SiteId, machine as MachineId);
    const inTurn = (): Pace => ({ atOnce: 1, everyMs: site.everyMs ?? EVERY_MS });
    const alarmsOf = async (machine: string) =>
      (await platform.api.request<{ items: readonly AlarmView[] }>('GET', `/v1/alarms?machine=${machine}&site=${SITE}`))
        .items;

    beforeAll(async () => {
      const folder = mkdtempSync(join(tmpdir(), 'tribo-faults-'));
      opened.defer(() => rmSync(folder, { recursive: true }));
      ackFile = join(folder, 'acknowledged');
      const { ports } = (site = opened.use(await start()));
      await observe();
      const portsFile = join(folder, 'ports.json');
      writeFileSync(portsFile, JSON.stringify(ports));
      platform = opened.use(
        await startPlatform({ ...site.env, TRIBO_PORTS_FILE: portsFile, TRIBO_LOG_LEVEL: 'error' }),
      );
      store = connectPort<TimeSeriesStore>(socketPath(platform.dataDir, TIME_SERIES_PORT), 'the store');
      opened.defer(() => store.disconnect());
      await platform.api.request('PUT', `/v1/rules/${HOT.id}`, HOT, { 'if-none-match': '*' });
      await startDevices();
      watch = opened.use(new LedgerWatch(platform));
      await untilUnderLoad();
    }, INSTALLS_WITHIN_MS);

    afterAll(() => opened.disposeAsync());

    async function startPlatform(env: Readonly<Record<string, string>>): Promise<PlatformProcess> {
      const hindrances = asItStarts?.(site) ?? [];
      try {
        return await PlatformProcess.start({ env });
      } finally {
        for (const { end } of hindrances) await end();
        timesAtStart = await Promise.all(hindrances.map(async ({ times }) => (await times?.()) ?? 0));
      }
    }

    /** Sees each event of what devices send, in the order in which it is delivered. */
    async function observe(): Promise<void> {
      const stream = await site.openStream();
      opened.defer(() => stream.close());
      for (const each of OBSERVED) {
        await declareGroup(stream, each, OBSERVER);
        const note: BatchHandler = async (batch) => {
          for (const { key: of, eventId, kind } of batch.events) {
            if (kind === 'duplicate') continue;
            const { machine } = machineRef(of);
            if (!seen.get(machine)?.push(eventId)) seen.set(machine, [eventId]);
          }
          await batch.ack();
        };
        await atStart(() => stream.subscribe(each, OBSERVER, note, { maxBatchEvents: 500 }));
      }
    }

    async function startDevices(): Promise<void> {
      const [fan, pump, ...bulk] = await platform.addDevices(machines, machines.length);
      const gateway = site.gateway ?? ownBroker(platform.mqttPort);
      const waveformsInTurn = { atOnce: 1, everyMs: Math.max(WAVEFORM_EVERY_MS, inTurn().everyMs) };
      const connecting = (login: DeviceLogin) => () => gateway.connect(login);
      devices.set(FAN, new ResendingDevice(connecting(fan!), readings(FAN, fan), inTurn()));
      devices.set(PUMP, new ResendingDevice(connecting(pump!), waveforms(pump!, gateway), waveformsInTurn));
      devices.set(BY_HTTP, new ResendingDevice(toHttp(platform, BY_HTTP), readings(BY_HTTP), inTurn()));
      opened.defer(stopDevices);
      if (!site.gateway) await startBulkLoad(bulk.slice(0, BULK.length));
      else
        for (const [at, machine] of BULK.entries())
          devices.set(
            machine,
            new ResendingDevice(connecting(bulk[at]!), readings(machine, bulk[at]), site.pace ?? SEVERAL),
          );
    }

    async function startBulkLoad(connections: readonly DeviceLogin[]): Promise<void> {
      load = opened.use(
        startLoad({
          ...{ port: platform.mqttPort, connections, metrics: BULK_METRICS, idPrefix: 'bulk' },
          ...{ maxInFlight: 50, ratePerS: 100, seconds: 3600, drainSeconds: 60, ackFile, reconnect: true },
        }),
      );
      await load.begun(ackFile);
    }

    async function stopDevices(): Promise<void> {
      for (const device of devices.values()) await device.stop();
    }

    /** Each device has something acknowledged once more, and more is stored. */
    async function untilUnderLoad(): Promise<void> {
      const sent = () => [
        ...[...devices.values()].map((each) => each.acknowledged.length),
        ...(load ? [acknowledgedIds(ackFile).length] : []),
      ];
      let unread: unknown;
      const stored = async () => {
        const ledger = await platform.ledger().catch((error: unknown) => void (unread = error));
        return ledger?.stored;
      };
      const before = sent();
      let storedBefore: number | undefined;
      await eventually(
        'the ledger is read',
        async () => (storedBefore = await stored()) !== undefined,
        () => unread,
      );
      await eventually('the load goes on', async () => sent().every((count, at) => count > before[at]!));
      await eventually('more is stored', async () => ((await stored()) ?? 0) > storedBefore!);
    }

    /** `why`: what is known of why it does not hold. */
    function eventually(what: string, holds: () => Promise<boolean>, why?: () => unknown): Promise<void> {
      return until(what, holds).catch(async (error: unknown) => {
        const reasons = JSON.stringify(await unreadiness(platform).catch(String));
        throw new Error(`${String(error)}: ${String(why?.())}\n${reasons}\n${platform.log}`, { cause: error });
      });
    }

    /** In readiness, and by `tribo doctor`. */
    async function untilTold(told: RegExp, refuses: RegExp | undefined): Promise<void> {
      const lines = async () => {
        const reasons = { ...(await attention(platform)), ...(await unreadiness(platform)) };
        return Object.entries(reasons).flatMap(([check, reason]) => (reason === '' ? [] : [`${check}: ${reason}`]));
      };
      for (const each of [told, ...(refuses ? [refuses] : [])])
        await eventually(`the platform tells of ${each}`, async () => (await lines()).some((line) => each.test(line)));
      await eventually(`tribo doctor tells of ${told}`, async () => {
        const { code, stdout } = await platform.command('doctor');
        return code === 70 && stdout.split('\n').some((line) => /^(FAIL|WARN) /.test(line) && told.test(line));
      });
    }

    if (asItStarts)
      it('it starts although connections break and answers are lost meanwhile', () => {
        expect(Math.min(...timesAtStart)).toBeGreaterThan(0);
        expect(timesAtStart.reduce((sum, times) => sum + times, 0)).toBeGreaterThanOrEqual(TIMES);
      });

    const cases = faults.map((fault, at) => {
      const then = fault.told ? 'it is told, and all goes on by itself afterwards' : 'all goes on meanwhile';
      return { ...fault, then, oven: ovens[at]! };
    });
    it.each(cases)(
      '$what: $then',
      async ({ begin, told, refuses, atLeastMs = 0, oven }) => {
        const fault = await begin(site);
        const began = performance.now();
        try {
          devices.set(oven, new ResendingDevice(toHttp(platform, oven), readings(oven), inTurn()));
          if (told) await untilTold(told, refuses);
          else {
            await untilUnderLoad();
            await eventually('it has gone wrong often', async () => (await fault.times!()) >= TIMES);
          }
          await sleep(Math.max(0, atLeastMs - (performance.now() - began)));
        } finally {
          await fault.end();
        }
        await untilUnderLoad();
        await eventually('it is ready', async () => Object.keys(await unreadiness(platform)).length === 0);
        await eventually(`the alarm of ${oven} is listed`, async () => (await alarmsOf(oven)).length > 0);
      },
      TIMEOUT_MS,
    );

    it(
      'has stored once all that it acknowledged, each machine in the order in which it sent, and its ledger was exact all the time',
      async () => {
        await stopDevices();
        const sentUnder = (await load?.finish())?.sentUnder ?? {};
        const storedOf = (machine: string) =>
          store.storedEventIds(key(machine), { fromMs: 0, toMs: Date.now() + DAY_MS });
        const idsOf = (machine: string) =>
          devices.get(machine)!.acknowledged.map((id) => (machine === PUMP ? `waveform/${SENSOR}/${id}` : id));
        // What is not the platform's own broker may have acknowledged what the platform takes only now.
        for (const machine of devices.keys())
          await eventually(
            `all of ${machine} is stored`,
            async () => (await storedOf(machine)).length >= idsOf(machine).length,
          );
        const ledger = await platform.drainedLedger();
        expect(await watch.stop()).toMatchObject({ wrong: [] });
        const stored = new Map<string, readonly string[]>();
        for (const machine of machines) stored.set(machine, await storedOf(machine));
        const all = [...stored.values()].flat();
        expect(ledger).toMatchObject({ exact: true, rejected: 0, deadLettered: 0, pending: 0, lost: 0 });
        expect([ledger.stored, ledger.accepted]).toEqual([all.length, ledger.stored + ledger.duplicate]);

        for (const machine of devices.keys()) {
          const ids = idsOf(machine);
          expect([machine, stored.get(machine)!.toSorted()]).toEqual([machine, ids.toSorted()]);
          await eventually(`all of ${machine} is seen`, async () => new Set(seen.get(machine)).size >= ids.length);
          // Of several on their way together the device itself does not know which went first.
          if (!BULK.includes(machine)) expect([machine, [...new Set(seen.get(machine))]]).toEqual([machine, ids]);
        }

        const wasSent = readingsSent(BULK_METRICS, { sentUnder });
        const loaded = load ? BULK.flatMap((machine) => stored.get(machine)!) : [];
        const ofLoad = new Set(loaded);
        expect(ofLoad.size).toBe(loaded.length);
        expect(loaded.filter((id) => wasSent(id) === undefined)).toEqual([]);
        const acknowledged = acknowledgedIds(ackFile);
        expect(acknowledged.filter((id) => !ofLoad.has(id))).toEqual([]);
        const ofDevices = all.length - loaded.length;
        console.info(
          `${name}: ${acknowledged.length} messages of the load and ${ofDevices} of devices acknowledged, ${ledger.duplicate} items came twice`,
        );
      },
      TIMEOUT_MS,
    );

    it('has raised the alarm of each oven once', async () => {
      for (const oven of ovens) expect(await alarmsOf(oven)).toMatchObject([{ machine: oven, active: true }]);
    });
  });
}

/** One reading each; an oven is always too hot. */
function readings(machine: string, login?: DeviceLogin) {
  return (count: number): DeviceSample => {
    const id = `${machine}-${count}`;
    const metrics = machine.startsWith('oven') ? { heat: 250 + (count % 10) } : { load: (count % 1000) / 1000 };
    return { id, topic: login?.topics[0] ?? '', payload: JSON.stringify({ id, ts: Date.now(), metrics }) };
  };
}

/** Their id is their time. */
function waveforms({ topics: [telemetry = ''] }: DeviceLogin, gateway: SiteGateway) {
  const topic = gateway.waveformTopic?.(telemetry, SENSOR) ?? telemetry.replace(/telemetry$/, `waveform/${SENSOR}`);
  return (): DeviceSample => {
    const ts = Date.now();
    const payload = { id: String(ts), ts, ...FORM, samples: SAMPLES.toString('base64') };
    return { id: String(ts), topic, payload: JSON.stringify(payload) };
  };
}
