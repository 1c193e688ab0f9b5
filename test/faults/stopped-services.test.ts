import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { machineKey, type MachineId, type SiteId, type TenantId } from '#core/domain/ids.ts';
import type { IntakeKind } from '#core/ports/device-gateway.ts';
import type { TimeSeriesStore } from '#core/ports/time-series-store.ts';
import { connectPort } from '#services/shared/rpc/port-client.ts';
import { socketPath } from '#services/shared/rpc/socket-path.ts';
import { TIME_SERIES_PORT } from '#services/shared/rpc/time-series-port.ts';
import { request, sendTelemetry, type HttpAnswer } from '#test/support/edge-requests.ts';
import { LedgerWatch } from '#test/support/ledger-watch.ts';
import { PlatformProcess, SITE, TENANT, until, type DeviceLogin } from '#test/support/platform-process.ts';
import { ResendingDevice, toBroker, type DeviceSample } from '#test/support/resending-device.ts';
import { stopBetweenWrites } from '#test/support/stop-process.ts';
import { compareWithStored, NOTHING_WRONG } from '#test/support/stored-events.ts';

const TIMEOUT_MS = 180_000;
const HOUR_MS = 3_600_000;
const BY_MQTT_FROM_MS = Date.now() - HOUR_MS;
const BY_HTTP_FROM_MS = Date.now() - 2 * HOUR_MS;
const MAX_PENDING = 300;
const STOPS = 3;
const STOPPED_WITHIN_MS = 40_000;
const MACHINES = ['fan-1', 'pump-1', 'by-http'];
const PUMP = machineKey(TENANT as TenantId, SITE as SiteId, 'pump-1' as MachineId);
const FORM = { sampleRateHz: 25_600, unit: 'g', encoding: 'i16le' } as const;
const SAMPLES = Buffer.from(Int16Array.from({ length: 512 }, (_, at) => 8000 * Math.sin(at / 5)).buffer);

/** One platform lives through all the cases, under load from beginning to end; the last case says what became of what it acknowledged. */
describe('a service that stands still holds up only what needs it, at the edge, and nothing is lost', () => {
  const byHttp: Record<IntakeKind, string[]> = { telemetry: [], waveform: [] };
  let platform: PlatformProcess;
  let devices: Record<IntakeKind, ResendingDevice>;
  let watch: LedgerWatch;

  beforeAll(async () => {
    const env = { TRIBO_SPLIT: 'true', TRIBO_LOG_LEVEL: 'error', TRIBO_MAX_PENDING_EVENTS: String(MAX_PENDING) };
    platform = await PlatformProcess.start({ env });
    const [fan, pump] = await platform.addDevices(MACHINES, MACHINES.length);
    const { mqttPort } = platform;
    devices = {
      telemetry: new ResendingDevice(toBroker(mqttPort, fan!), readings(fan!), { atOnce: 25, everyMs: 20 }),
      waveform: new ResendingDevice(toBroker(mqttPort, pump!), waveforms(pump!), { atOnce: 5, everyMs: 40 }),
    };
    watch = new LedgerWatch(platform);
  }, TIMEOUT_MS);

  afterAll(async () => {
    await watch.stop();
    await platform[Symbol.asyncDispose]();
  });

  /** Sends one message of the kind by HTTP, and remembers it when it was acknowledged. */
  async function send(kind: IntakeKind): Promise<HttpAnswer> {
    const id = `h-${byHttp.telemetry.length}`;
    const ts = BY_HTTP_FROM_MS + byHttp.waveform.length;
    const query = new URLSearchParams({
      site: SITE,
      machine: 'pump-1',
      sensor: 'by-http',
      ts: String(ts),
      scale: '0.001',
    });
    for (const [name, value] of Object.entries(FORM)) query.set(name, String(value));
    const answer =
      kind === 'telemetry'
        ? await sendTelemetry(platform, 'by-http', [{ id, ts: Date.now(), metrics: readingsUnder(id) }])
        : await request(platform, `/v1/waveforms?${query.toString()}`, {
            method: 'POST',
            headers: { 'content-type': 'application/octet-stream' },
            body: SAMPLES,
          });
    if (answer.status === 202) byHttp[kind].push(kind === 'telemetry' ? id : String(ts));
    return answer;
  }

  /** Stops the process, again where it was stopped while it had something that all others need, such as the lock of a log: not what is tested. */
  async function stoppedSo(pid: number, what: string, holds: () => Promise<boolean>): Promise<void> {
    for (let tries = 1; ; tries++) {
      await stopBetweenWrites(pid, platform.dataDir);
      try {
        await until(what, holds, STOPPED_WITHIN_MS);
        return;
      } catch (error) {
        process.kill(pid, 'SIGCONT');
        if (tries === STOPS) throw error;
      }
    }
  }

  async function progress(kind: IntakeKind, messages = 1): Promise<void> {
    const before = devices[kind].acknowledged.length;
    await until(`${kind} goes on`, async () => devices[kind].acknowledged.length >= before + messages);
  }

  it.each([
    // It reads the waveforms themselves.
    { service: 'feature-service', refused: 'waveform', taken: 'telemetry', stream: 'raw-waveform', group: 'compute' },
    // What it reads is derived from waveforms, which are worked off as before: it would be full of it in the end.
    { service: 'ml-service', refused: 'waveform', taken: 'telemetry', stream: 'features', group: 'ml' },
    { service: 'alert-engine', refused: 'telemetry', taken: 'waveform', stream: 'metrics', group: 'compute' },
  ] as const)(
    '$service: $refused is refused with the reason, $taken goes on, and all does once it runs again',
    async ({ service, refused, taken, stream, group }) => {
      await progress('telemetry');
      await progress('waveform');
      const pid = platform.runningPid(service);
      try {
        const reason = new RegExp(
          `no more ${refused}.* the group ${group} has \\d+ events of the stream ${stream} still to work off`,
        );
        // On a busy machine another group may be the slowest for a moment.
        const isRefused = async (): Promise<boolean> => {
          const { status, retryAfterS, problem } = await send(refused);
          return status === 429 && retryAfterS === 1 && reason.test(problem?.detail ?? '');
        };
        await stoppedSo(pid, `${refused} is refused because of ${group}`, isRefused);
        const atRefusal = devices[refused].acknowledged.length;
        await progress(taken, 50);
        await until(`${taken} is taken`, async () => (await send(taken)).status === 202);
        // Those that were on their way when the gate shut.
        expect(devices[refused].acknowledged.length - atRefusal).toBeLessThanOrEqual(25);
        expect(await send(refused)).toMatchObject({ status: 429 });
      } finally {
        process.kill(pid, 'SIGCONT');
      }
      await progress('telemetry', 2 * MAX_PENDING);
      await progress('waveform', 25);
      await until(`${refused} is taken again`, async () => (await send(refused)).status === 202);
    },
    TIMEOUT_MS,
  );

  it(
    'every acknowledged waveform has its features, once',
    async () => {
      for (const device of Object.values(devices)) await device.stop();
      const store = connectPort<TimeSeriesStore>(socketPath(platform.dataDir, TIME_SERIES_PORT), 'the store');
      try {
        const range = { machine: PUMP, kind: 'features', fromMs: 0, toMs: Date.now(), limit: 10_000 } as const;
        const found = async () => (await store.documents(range)).map(({ ts }) => String(ts)).toSorted();
        const acknowledged = [...devices.waveform.acknowledged, ...byHttp.waveform];
        await until('all features', async () => (await found()).length >= acknowledged.length);
        expect(await found()).toEqual(acknowledged.toSorted());
      } finally {
        store.disconnect();
      }
    },
    TIMEOUT_MS,
  );

  it(
    'every acknowledged reading is stored once, and the ledger was exact all the time',
    async () => {
      const ledger = await platform.drainedLedger();
      const seen = await watch.stop();
      expect(seen).toMatchObject({ wrong: [] });
      expect(seen.readings).toBeGreaterThan(0);
      expect(ledger).toMatchObject({ exact: true, pending: 0, rejected: 0, deadLettered: 0 });
      expect(await platform.stop()).toMatchObject({ code: 0 });
      const acknowledged = [...devices.telemetry.acknowledged, ...byHttp.telemetry];
      const sent = new Set(acknowledged);
      const comparison = await compareWithStored(platform.dataDir, {
        ...{ machines: ['fan-1', 'by-http'], acknowledged, ledger },
        readingsOf: (id) => (sent.has(id) ? readingsUnder(id) : undefined),
      });
      expect(comparison).toEqual({ ...NOTHING_WRONG, stored: acknowledged.length, readings: acknowledged.length });
      console.info(
        `stopped services: ${acknowledged.length} readings and ${devices.waveform.acknowledged.length + byHttp.waveform.length} waveforms acknowledged, ` +
          `${ledger.duplicate} items came twice; ledger read ${seen.readings} times, unreadable ${seen.unreadable} times`,
      );
    },
    TIMEOUT_MS,
  );
});

function readings({ topics }: DeviceLogin) {
  return (count: number): DeviceSample => {
    const id = `m-${count}`;
    return { id, topic: topics[0]!, payload: JSON.stringify({ id, ts: Date.now(), metrics: readingsUnder(id) }) };
  };
}

function readingsUnder(id: string): Readonly<Record<string, number>> {
  return { load: (Number(id.slice(2)) % 1000) / 1000 };
}

/** Their id is their time, each another. */
function waveforms({ topics }: DeviceLogin) {
  const topic = topics[0]!.replace(/telemetry$/, 'waveform/de');
  return (count: number): DeviceSample => {
    const ts = BY_MQTT_FROM_MS + count;
    const payload = { id: String(ts), ts, ...FORM, scale: 0.001, samples: SAMPLES.toString('base64') };
    return { id: String(ts), topic, payload: JSON.stringify(payload) };
  };
}
