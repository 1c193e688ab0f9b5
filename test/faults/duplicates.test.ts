import { Buffer } from 'node:buffer';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { until } from '#core/contracts/until.ts';
import { machineKey, type MachineId, type SiteId, type TenantId } from '#core/domain/ids.ts';
import type { TimeSeriesStore } from '#core/ports/time-series-store.ts';
import type { AlarmView } from '#services/api-gateway/schemas/alarms.ts';
import type { Series } from '#services/api-gateway/schemas/machines.ts';
import type { IntakeReceiptView } from '#services/api-gateway/schemas/telemetry.ts';
import { connectPort } from '#services/shared/rpc/port-client.ts';
import { socketPath } from '#services/shared/rpc/socket-path.ts';
import { TIME_SERIES_PORT } from '#services/shared/rpc/time-series-port.ts';
import { request, sendTelemetry } from '#test/support/edge-requests.ts';
import { LedgerWatch } from '#test/support/ledger-watch.ts';
import { MqttDevice } from '#test/support/mqtt-device.ts';
import { PlatformProcess, SITE, TENANT } from '#test/support/platform-process.ts';
import { compareWithStored, NOTHING_WRONG } from '#test/support/stored-events.ts';

const TIMEOUT_MS = 240_000;
const MACHINE = 'press-7';
const ITEMS = 2;
const OUT_OF_ORDER = 1000;

interface Sent {
  readonly id: string;
  readonly ts: number;
  readonly metrics: Readonly<Record<string, number>>;
}

/** How a message comes. */
type Way = 'the same connection' | 'another connection' | 'another device' | 'HTTP';

const ways: readonly Way[] = ['the same connection', 'another connection', 'another device', 'HTTP'];

describe('the same message again', () => {
  it(
    'by the same and another connection, another device and HTTP, before and after a restart and a kill -9, is stored once',
    async () => {
      await using platform = await PlatformProcess.start({ env: { TRIBO_LOG_LEVEL: 'silent' } });
      await using devices = await Devices.of(platform);
      const began = Date.now();
      const messages: Sent[] = ways.flatMap((first) =>
        ways.map((again, at) => ({
          id: `${first} then ${again}`.replaceAll(' ', '-'),
          ts: began + at,
          metrics: { velocity_rms: 2.31, [first.replaceAll(' ', '_')]: at },
        })),
      );
      for (const [at, message] of messages.entries()) await devices.send(ways[at >> 2]!, message);
      const first = await platform.drainedLedger();
      expect(first).toMatchObject({ exact: true, stored: messages.length * ITEMS, duplicate: 0 });

      let times = 0;
      const sendAllAgain = async (): Promise<void> => {
        for (const [at, message] of messages.entries()) await devices.send(ways[at % ways.length]!, message);
        times += 1;
        expect(await platform.drainedLedger()).toMatchObject({
          ...{ exact: true, pending: 0, rejected: 0, conflicts: 0 },
          ...{ stored: first.stored, duplicate: times * messages.length * ITEMS },
        });
      };
      await sendAllAgain();
      expect(await platform.stop()).toMatchObject({ code: 0 });
      await platform.startAgain();
      await devices.connect();
      await sendAllAgain();
      await platform.kill();
      await platform.startAgain();
      await devices.connect();
      await sendAllAgain();

      await devices[Symbol.asyncDispose]();
      expect(await platform.stop()).toMatchObject({ code: 0 });
      const ids = messages.map(({ id }) => id);
      const comparison = await compareWithStored(platform.dataDir, {
        ...{ machines: [MACHINE], acknowledged: ids, ledger: first },
        readingsOf: (sent) => messages.find(({ id }) => id === sent)?.metrics,
      });
      expect(comparison).toEqual({ ...NOTHING_WRONG, stored: ids.length, readings: ids.length * ITEMS });
      console.info(`${ids.length} messages sent ${times + 1} times: ${ids.length} stored, 0 twice`);
    },
    TIMEOUT_MS,
  );
});

describe('what is derived of the same message again', () => {
  it(
    'is one alarm a crossing, whichever ways it came, after a kill -9 too',
    async () => {
      await using platform = await PlatformProcess.start({ env: { TRIBO_LOG_LEVEL: 'silent' } });
      await using devices = await Devices.of(platform);
      const rule = { kind: 'threshold', text: 'Hot', direction: 'above', limit: 80 };
      for (const metric of ['heat', 'last', 'probe'])
        await platform.api.request(
          'PUT',
          `/v1/rules/${metric}`,
          { ...rule, id: metric, metric },
          { 'if-none-match': '*' },
        );
      const occurrences = (metric: string) => occurrencesOf(platform, metric);
      const beganMs = Date.now() - 60_000;
      // Rules are in force a moment after they were put: what comes before that raises nothing.
      let probes = 0;
      await until(async () => {
        await devices.send('HTTP', {
          id: `probe-${probes}`,
          ts: beganMs - 10_000 + probes,
          metrics: { probe: 99, speed: 1 },
        });
        probes += 1;
        return (await occurrences('probe')) > 0;
      }, 'the rules are in force');
      /** Over the limit and back, once a pair of ways. */
      const messages = ways.flatMap((first, i) =>
        ways.flatMap((again, j) =>
          [99, 1].map((heat, k) => ({
            ...{ first, again, id: `${first}-${again}-${heat}`.replaceAll(' ', '-') },
            ...{ ts: beganMs + 1000 * (8 * i + 2 * j + k), metrics: { heat, speed: 1 } },
          })),
        ),
      );
      for (const { first, again, ...message } of messages) {
        await devices.send(first, message);
        await devices.send(again, message);
      }
      await until(async () => (await occurrences('heat')) >= ways.length ** 2, 'each crossing was judged');
      await platform.kill();
      await platform.startAgain();
      await devices.connect();
      for (const { again, first: _first, ...message } of messages) await devices.send(again, message);
      // What comes after them on the same stream has been judged: so have they.
      await devices.send('HTTP', { id: 'last', ts: beganMs + 59_000, metrics: { last: 99, speed: 1 } });
      await until(async () => (await occurrences('last')) === 1, 'the last message was judged');
      expect(await occurrences('heat')).toBe(ways.length ** 2);
      expect(await platform.drainedLedger()).toMatchObject({
        ...{
          exact: true,
          rejected: 0,
          stored: (probes + messages.length + 1) * ITEMS,
          duplicate: 2 * messages.length * ITEMS,
        },
      });
    },
    TIMEOUT_MS,
  );

  it(
    'is one object, one feature set and one prediction a waveform, whichever ways it came',
    async () => {
      await using platform = await PlatformProcess.start({ env: { TRIBO_LOG_LEVEL: 'silent' } });
      await using devices = await Devices.of(platform);
      const beganMs = Date.now() - 60_000;
      const sent = ways.flatMap((first, i) => ways.map((again, j) => ({ first, again, n: ways.length * i + j })));
      for (const { first, again, n } of sent) {
        const waveform = { id: `w-${n}`, ts: beganMs + 1000 * n, samples: tone(n) };
        await devices.sendWaveform(first, waveform);
        await devices.sendWaveform(again, waveform);
      }
      expect(await platform.drainedLedger()).toMatchObject({
        ...{ exact: true, rejected: 0, stored: sent.length, duplicate: sent.length },
      });
      const idle = async () => (await predictionsMade(platform)) >= sent.length;
      await until(idle, 'a prediction was made of each');
      expect(await predictionsMade(platform)).toBe(sent.length);
      const store = connectPort<TimeSeriesStore>(socketPath(platform.dataDir, TIME_SERIES_PORT), 'the store');
      try {
        const machine = machineKey(TENANT as TenantId, SITE as SiteId, MACHINE as MachineId);
        const all = { machine, fromMs: 0, toMs: Date.now(), limit: 1000 };
        const made = async (kind: 'features' | 'prediction') => (await store.documents({ ...all, kind })).length;
        // They come by two streams, of which either may be settled first.
        for (const kind of ['prediction', 'features'] as const) {
          await until(async () => (await made(kind)) >= sent.length, `each ${kind} is stored`);
          expect(await made(kind)).toBe(sent.length);
        }
        expect(await store.waveforms(all)).toHaveLength(sent.length);
      } finally {
        store.disconnect();
      }
      const objects = readdirSync(join(platform.dataDir, 'objects'), { recursive: true, encoding: 'utf8' });
      expect(objects.filter((name) => name.endsWith('.waveform'))).toHaveLength(sent.length);
    },
    TIMEOUT_MS,
  );
});

describe('messages out of order', () => {
  it(
    'backwards, shuffled, hours late and by both ways in, are each stored once and read in order',
    async () => {
      await using platform = await PlatformProcess.start({ env: { TRIBO_LOG_LEVEL: 'silent' } });
      await using devices = await Devices.of(platform);
      await using watch = new LedgerWatch(platform);
      const newest = Date.now();
      // A minute apart, so that most of them are far older than what is late for windows and alarms.
      const inOrder = Array.from({ length: OUT_OF_ORDER }, (_, at) => ({
        id: `m-${at}`,
        ts: newest - (OUT_OF_ORDER - at) * 60_000,
        metrics: { velocity_rms: at },
      }));
      const shuffled = inOrder.toSorted(
        (a, b) => scattered(a.metrics.velocity_rms) - scattered(b.metrics.velocity_rms),
      );
      const half = OUT_OF_ORDER / 2;
      await Promise.all([
        ...shuffled.slice(0, half).map((message) => devices.send('the same connection', message)),
        ...shuffled.slice(half).map((message, at) => devices.send(at % 100 === 0 ? 'HTTP' : 'another device', message)),
      ]);
      const ledger = await platform.drainedLedger();
      expect(ledger).toMatchObject({ exact: true, stored: OUT_OF_ORDER, duplicate: 0, rejected: 0, conflicts: 0 });
      const from = newest - (OUT_OF_ORDER + 1) * 60_000;
      const series = await platform.api.request<Series>(
        'GET',
        `/v1/machines/${MACHINE}/series?site=${SITE}&metric=velocity_rms&from=${from}&to=${newest}`,
      );
      expect(series.ts).toEqual(inOrder.map(({ ts }) => ts));
      expect(series.columns).toEqual({ value: inOrder.map(({ metrics }) => metrics.velocity_rms) });
      expect((await watch.stop()).wrong).toEqual([]);
    },
    TIMEOUT_MS,
  );
});

/** How often the condition on a metric came, over all alarms of the machine. */
async function occurrencesOf(platform: PlatformProcess, metric: string): Promise<number> {
  const { items } = await platform.api.request<{ items: AlarmView[] }>(
    'GET',
    `/v1/alarms?machine=${MACHINE}&site=${SITE}`,
  );
  const parts = items.flatMap((alarm) => alarm.parts).filter((part) => part.metric === metric);
  return parts.reduce((sum, part) => sum + part.occurrences, 0);
}

async function predictionsMade(platform: PlatformProcess): Promise<number> {
  const text = await (await fetch(new URL('/metrics', platform.url))).text();
  const values = [...text.matchAll(/^tribo_predictions_total\{.*\} (\d+)$/gm)].map(([, value]) => Number(value));
  return values.reduce((sum, value) => sum + value, 0);
}

const SAMPLES = 4096;
const RATE_HZ = 25_600;

/** Samples of 16 bits, others for each number. */
function tone(n: number): Buffer {
  return Buffer.from(Int16Array.from({ length: SAMPLES }, (_, i) => 1000 * Math.sin((i * (n + 5)) / 40)).buffer);
}

/** A fixed shuffle: the order of an integer hash. */
function scattered(n: number): number {
  return Math.imul(n + 1, 0x9e3779b1) >>> 0;
}

interface Login {
  readonly id: string;
  readonly secret: string;
}

/** Two devices of one machine, the first with two connections, and HTTP. */
class Devices implements AsyncDisposable {
  readonly #platform: PlatformProcess;
  readonly #logins: readonly Login[];
  #connections = new Map<Way, MqttDevice>();

  static async of(platform: PlatformProcess): Promise<Devices> {
    const [first] = await platform.addDevices([MACHINE], 1);
    const second = await platform.api.request<{ device: { id: string }; secret: string }>('POST', '/v1/devices', {
      id: 'second',
      machines: [{ site: SITE, machine: MACHINE }],
    });
    const devices = new Devices(platform, [
      { id: first!.device, secret: first!.secret },
      { id: second.device.id, secret: second.secret },
    ]);
    await devices.connect();
    return devices;
  }

  private constructor(platform: PlatformProcess, logins: readonly Login[]) {
    this.#platform = platform;
    this.#logins = logins;
  }

  async connect(): Promise<void> {
    const [first, second] = this.#logins;
    const open = ({ id, secret }: Login, suffix = '') =>
      MqttDevice.connect(this.#platform.mqttPort, { clientId: `${id}${suffix}`, username: id, password: secret });
    this.#connections = new Map([
      ['the same connection', await open(first!)],
      ['another connection', await open(first!, ':2')],
      ['another device', await open(second!)],
    ]);
  }

  /** Resolves when it is acknowledged. */
  async send(way: Way, message: Sent): Promise<void> {
    if (way !== 'HTTP') {
      const topic = `tribo/v1/${TENANT}/${SITE}/${MACHINE}/telemetry`;
      await this.#connections.get(way)?.publishTo(topic, JSON.stringify(message));
      return;
    }
    const { status, body } = await sendTelemetry(this.#platform, MACHINE, [message]);
    if (status !== 202) throw new Error(`HTTP answered ${status}`);
    const { accepted, duplicate } = body as IntakeReceiptView;
    if (accepted + duplicate !== Object.keys(message.metrics).length) throw new Error(JSON.stringify(body));
  }

  /** Resolves when it is acknowledged. */
  async sendWaveform(way: Way, { id, ts, samples }: { id: string; ts: number; samples: Buffer }): Promise<void> {
    const description = { id, ts, sampleRateHz: RATE_HZ, unit: 'g', encoding: 'i16le', scale: 0.001, rpm: 1480 };
    if (way !== 'HTTP') {
      const topic = `tribo/v1/${TENANT}/${SITE}/${MACHINE}/waveform/de`;
      const payload = JSON.stringify({ ...description, samples: samples.toString('base64') });
      await this.#connections.get(way)?.publishTo(topic, payload);
      return;
    }
    const place = { site: SITE, machine: MACHINE, sensor: 'de' };
    const fields = Object.entries({ ...place, ...description }).map(([name, value]): [string, string] => [
      name,
      String(value),
    ]);
    const { status } = await request(this.#platform, `/v1/waveforms?${new URLSearchParams(fields).toString()}`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      body: new Uint8Array(samples),
    });
    if (status !== 202) throw new Error(`HTTP answered ${status}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.#connections.values()) await connection.disconnect().catch(() => undefined);
    this.#connections.clear();
  }
}
