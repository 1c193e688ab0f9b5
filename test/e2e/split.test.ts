import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { deadLettersInStore } from '#core/derivation/dead-letters.ts';
import type { StampedEvent } from '#core/domain/event.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import type { TimeSeriesStore } from '#core/ports/time-series-store.ts';
import type { AddedDevice } from '#services/api-gateway/schemas/devices.ts';
import type { DeadLetterView } from '#services/api-gateway/schemas/ledger.ts';
import type { ReadinessReport } from '#services/shared/http/readiness.ts';
import { readAddress } from '#services/shared/process/service-address.ts';
import { connectPort } from '#services/shared/rpc/port-client.ts';
import { socketPath } from '#services/shared/rpc/socket-path.ts';
import { TIME_SERIES_PORT } from '#services/shared/rpc/time-series-port.ts';
import { MqttDevice } from '#test/support/mqtt-device.ts';
import { PlatformProcess, SITE, until } from '#test/support/platform-process.ts';

const ALL_TIME = { fromMs: 0, toMs: 1e14 };
const TIMEOUT_MS = 240_000;
const SERVICES = [
  'timeseries-service',
  'alert-engine',
  'ml-service',
  'feature-service',
  'ingestion-service',
  'api-gateway',
];

describe('a platform that runs with --split', () => {
  let platform: PlatformProcess;
  beforeAll(async () => {
    // What is set for a simulator of one's own must not reach the demo's.
    const simulator = {
      INGESTION_MODE: 'http',
      TRIBO_SIMULATOR_MACHINES: 'fan-1',
      TRIBO_SIMULATOR_TOKEN_FILE: '/none',
    };
    const env = { TRIBO_SPLIT: 'true', TRIBO_DEMO_SPEED: '3', ...simulator };
    platform = await PlatformProcess.start({ env, demo: true });
  }, TIMEOUT_MS);
  afterAll(async () => {
    await platform[Symbol.asyncDispose]();
  });

  it(
    'has a process for each service, and says of each whether it is ready',
    async () => {
      const pids = [...SERVICES, 'edge-simulator'].map((service) => platform.pidOf(service));
      expect(new Set(pids).size).toBe(SERVICES.length + 1);
      expect(pids).not.toContain(undefined);
      await until('all are ready', async () => (await supervisorReport(platform)).status === 'ready');
      const { checks } = await supervisorReport(platform);
      expect(checks.map(({ name }) => name)).toEqual([...SERVICES, 'edge-simulator']);
      const { stdout, code } = await platform.command('--json', 'doctor');
      expect({ code, names: (JSON.parse(stdout) as { name: string }[]).map(({ name }) => name) }).toEqual({
        code: 0,
        names: expect.arrayContaining(SERVICES.filter((name) => name !== 'api-gateway')),
      });
    },
    TIMEOUT_MS,
  );

  it(
    'lets a device in that was added through another process, and shows what it sends as it comes',
    async () => {
      const [press, login] = await addDevice(platform, 'press-7');
      const { stdout } = await platform.command('device', 'add', 'press-10');
      expect(stdout).toContain(`mosquitto_pub -h 127.0.0.1 -p ${platform.mqttPort} -i press-10`);
      const mqtt = await MqttDevice.connect(platform.mqttPort, login);
      const shown = firstReadings(platform, 'press-7');
      const topic = press.topics[0] ?? '';
      const sending = setInterval(() => {
        const payload = JSON.stringify({ ts: Date.now(), metrics: { rpm: 1480 } });
        mqtt.publishTo(topic, payload).catch(() => undefined);
      }, 100);
      expect(await shown).toMatchObject({ machine: 'press-7', metrics: { rpm: 1480 } });
      clearInterval(sending);
      await mqtt.disconnect();
    },
    TIMEOUT_MS,
  );

  it(
    'judges by a rule that was changed through another process, and tells of the alarm',
    async () => {
      const [press, login] = await addDevice(platform, 'press-8');
      const rule = { kind: 'threshold', id: 'warm', text: 'Warm', metric: 'warmth', direction: 'above', limit: 50 };
      await platform.api.request('PUT', '/v1/rules/warm', rule, { 'if-none-match': '*' });
      const mqtt = await MqttDevice.connect(platform.mqttPort, login);
      await until('the alarm is listed', async () => {
        await mqtt.publishTo(press.topics[0] ?? '', JSON.stringify({ ts: Date.now(), metrics: { warmth: 60 } }));
        const path = `/v1/alarms?machine=press-8&site=${SITE}`;
        const { items } = await platform.api.request<{ items: readonly unknown[] }>('GET', path);
        return items.length === 1;
      });
      await mqtt.disconnect();
    },
    TIMEOUT_MS,
  );

  it(
    'counts in its ledger what the broker refused, and shuts a device out that was removed through another process',
    async () => {
      const [press, login] = await addDevice(platform, 'press-9');
      const before = (await platform.ledger()).refused;
      const stranger = await MqttDevice.connect(platform.mqttPort, login);
      const foreign = (press.topics[0] ?? '').replace('press-9', 'press-7');
      await expect(stranger.publishTo(foreign, '{"ts":1,"metrics":{"a":1}}')).rejects.toThrow('closed');
      await until('it is counted', async () => (await platform.ledger()).refused === before + 1);
      const mqtt = await MqttDevice.connect(platform.mqttPort, login);
      await platform.api.request('DELETE', '/v1/devices/press-9');
      await expect(mqtt.ended).rejects.toThrow('closed');
    },
    TIMEOUT_MS,
  );

  it(
    'signs in by its link, and publishes the keys of its tokens',
    async () => {
      expect((await fetch(new URL('/.well-known/jwks.json', platform.url))).status).toBe(200);
      const code = new URL(platform.signInLink).searchParams.get('code');
      const body = JSON.stringify({ code });
      const headers = { 'content-type': 'application/json' };
      const signedIn = await fetch(new URL('/v1/session', platform.url), { method: 'POST', headers, body });
      expect(signedIn.status).toBe(201);
    },
    TIMEOUT_MS,
  );

  it(
    'raises the alarm of the demo plant, and accounts for every item of it',
    async () => {
      await until('the pump alarms', async () => {
        const { items } = await platform.api.request<{ items: readonly { machine: string }[] }>('GET', '/v1/alarms');
        return items.some(({ machine }) => machine === 'pump-1');
      });
      expect(await platform.ledger()).toMatchObject({ exact: true, deadLettered: 0 });
    },
    TIMEOUT_MS,
  );

  const published = { outcome: 'published', stream: 'features' };
  it.each([
    { stage: 'features', kind: 'waveform', writesTo: 'features', group: 'compute', becomes: published },
    { stage: 'inference', kind: 'features', writesTo: 'inference-results', group: 'ml', becomes: published },
    {
      stage: 'alerting',
      kind: 'features',
      writesTo: 'alarms',
      group: 'alerts.features',
      becomes: { outcome: 'judged' },
    },
  ] as const)(
    'replays a dead letter of $stage, by the service whose stage it is',
    async ({ stage, kind, writesTo, group, becomes }) => {
      const pump = `demo/${SITE}/pump-1` as MachineKey;
      const store = connectPort<TimeSeriesStore>(socketPath(platform.dataDir, TIME_SERIES_PORT), 'the store');
      const letters = async () =>
        (await platform.api.request<{ items: DeadLetterView[] }>('GET', '/v1/dead-letters')).items;
      try {
        const stored = async () =>
          kind === 'waveform'
            ? (await store.waveforms({ ...ALL_TIME, machine: pump, limit: 1 }))[0]
            : (await store.documents({ ...ALL_TIME, machine: pump, kind, limit: 1 }))[0];
        await until('the demo has sent one', async () => (await stored()) !== undefined);
        const event: StampedEvent = {
          ...{ eventId: `dead-${stage}`, kind, key: pump, items: 0, acceptedAtMs: Date.now(), cumulativeItems: 0 },
          ...{ payload: Buffer.from(JSON.stringify(await stored())), source: 'test', epoch: 1, seq: 1 },
        };
        await deadLettersInStore(store, { writesTo, group })(event, { code: 'internal', detail: 'on purpose' });
        const letter = (await letters()).find(({ eventId }) => eventId === event.eventId);
        expect(letter).toMatchObject({ stage });
        const path = `/v1/dead-letters/${encodeURIComponent(letter!.id)}/replay`;
        expect(await platform.api.request('POST', path)).toMatchObject(becomes);
        expect(await letters()).not.toContainEqual(letter);
      } finally {
        store.disconnect();
      }
    },
    TIMEOUT_MS,
  );

  it(
    'stops within 10 s of SIGTERM, and leaves nothing behind',
    async () => {
      const { code, ms } = await platform.stop('SIGTERM');
      expect(code).toBe(0);
      expect(ms).toBeLessThan(10_000);
      expect(platform.processes()).toEqual([]);
      expect(existsSync(join(platform.dataDir, 'platform.pid'))).toBe(false);
    },
    TIMEOUT_MS,
  );
});

async function supervisorReport({ dataDir }: PlatformProcess): Promise<ReadinessReport> {
  const { operationUrl = '' } = readAddress(dataDir, 'platform') ?? {};
  return (await (await fetch(`${operationUrl}/health/ready`)).json()) as ReadinessReport;
}

async function addDevice(platform: PlatformProcess, machine: string) {
  const { stdout } = await platform.command('device', 'add', machine, '--json');
  const added = JSON.parse(stdout) as AddedDevice;
  return [added, { clientId: machine, username: machine, password: added.secret }] as const;
}

/** The first readings of a machine on the event stream. */
async function firstReadings(platform: PlatformProcess, machine: string): Promise<unknown> {
  const { token } = platform.api;
  const path = `/v1/events?topics=readings&site=${SITE}&machine=${machine}`;
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(new URL(path, platform.url), { headers, signal: AbortSignal.timeout(60_000) });
  let text = '';
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk).toString();
    const data = /event: readings\n(?:id: .*\n)?data: (.*)\n/.exec(text)?.[1];
    if (data !== undefined) return (JSON.parse(data) as { machines: unknown[] }).machines[0];
  }
  throw new Error(`the event stream ended: ${text}`);
}
