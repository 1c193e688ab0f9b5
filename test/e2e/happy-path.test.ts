import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DEFAULT_RETENTION } from '#adapters/embedded/lmdb-event-stream/config.ts';
import { LmdbEventStream } from '#adapters/embedded/lmdb-event-stream/lmdb-event-stream.ts';
import type { StampedEvent } from '#core/domain/event.ts';
import { DEFAULT_INDICATOR_PARAMETERS } from '#core/inference/health-indicator.ts';
import type { AlarmView, JournalEntryView } from '#services/api-gateway/schemas/alarms.ts';
import type { AddedDevice } from '#services/api-gateway/schemas/devices.ts';
import type { AlarmEvent } from '#services/api-gateway/schemas/events.ts';
import type { Series } from '#services/api-gateway/schemas/machines.ts';
import type { WaveformFeaturesView, WaveformList } from '#services/api-gateway/schemas/waveforms.ts';
import { startHttpReceiver, type HttpReceiver } from '#test/support/http-receiver.ts';
import { MqttDevice } from '#test/support/mqtt-device.ts';
import { PlatformProcess, SITE, TENANT, until } from '#test/support/platform-process.ts';

const TIMEOUT_MS = 240_000;
const SECRET = 'a secret of thirty-two characters';
const MACHINE = 'pump-7';
const PLANT = `
tenant: ${TENANT}
site: ${SITE}
machines:
  - id: ${MACHINE}
    class: pump
    nominalRpm: 1500
    sensors: [{ id: de, kind: acceleration, unit: g, sampleRateHz: 25600 }]
    metrics: [{ name: temperature, unit: Cel }]
`;

const { baselineVectors, smoothing, threshold, significantRatio } = DEFAULT_INDICATOR_PARAMETERS;
const SAMPLE_RATE_HZ = 25_600;
const SAMPLES = 2560;
/** A tone in each band that the health model looks at, all of whole cycles, and the shaft's own. */
const SHAFT = { hz: 50, peakG: 0.5 };
const BAND_TONES_HZ = [700, 1500, 3500, 7000];
const HEALTHY_G = 0.05;
/** How many times louder the bands become. */
const DAMAGE = 8;
/** A rise is judged by its logarithm, in deviations of which `threshold` make the smallest rise that counts: ln 8 / (ln 2 / 3). */
const DAMAGED_SCORE = Math.log(DAMAGE) / (Math.log(significantRatio) / threshold);
const WAVEFORM_EVERY_MS = 1000;

let platform: PlatformProcess;
let receiver: HttpReceiver;
let folder: string;
let device: MqttDevice | undefined;
let login: AddedDevice;
let heard: SseListener | undefined;
const notified: { readonly headers: IncomingHttpHeaders; readonly body: string }[] = [];
const sent = { readings: 0, waveforms: 0 };

/** The first moment of a whole minute that is over: the window of the readings. */
const windowMs = Math.floor(Date.now() / 60_000) * 60_000 - 180_000;
let nextWaveformMs = windowMs;
let alarmId = '';

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tribo-happy-'));
  receiver = await startHttpReceiver(({ headers }, response, body) => {
    notified.push({ headers, body: body.toString() });
    response.writeHead(204).end();
  });
  platform = await PlatformProcess.start({
    env: {
      ...{ TRIBO_WEBHOOK_URL: `${receiver.url}/hook`, TRIBO_WEBHOOK_SECRET: SECRET },
      // That the device came is told once it has lasted for seconds: on a slow machine before the alarm.
      TRIBO_WEBHOOK_EVENTS: 'alarm',
    },
  });
}, TIMEOUT_MS);

afterAll(async () => {
  heard?.close();
  device?.client.end(true);
  await platform[Symbol.asyncDispose]();
  await receiver[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

describe('the happy path, each step after the one before', () => {
  step('1. a plant is described in a file', async () => {
    writeFileSync(join(folder, 'plant.yaml'), PLANT);
    expect(await platform.command('plant', 'apply', join(folder, 'plant.yaml'))).toMatchObject({ code: 0 });
    expect(await get<object>(`/v1/plant?site=${SITE}`)).toMatchObject({
      machines: [{ id: MACHINE, class: 'pump', nominalRpm: 1500, sensors: [{ id: 'de', unit: 'g' }] }],
    });
  });

  step('2. a device is added for the machine that is there, and may speak for it', async () => {
    const { code, stdout } = await platform.command('--json', 'device', 'add', MACHINE);
    expect(code).toBe(0);
    login = JSON.parse(stdout) as AddedDevice;
    expect(login.device).toMatchObject({ id: MACHINE, machines: [{ site: SITE, machine: MACHINE }] });
    expect(login.topics).toContain(`tribo/v1/${TENANT}/${SITE}/${MACHINE}/telemetry`);
    const credentials = { clientId: MACHINE, username: MACHINE, password: login.secret };
    device = await MqttDevice.connect(platform.mqttPort, credentials);
  });

  step('3. its telemetry is acknowledged by MQTT, and is durable in the stream by then', async () => {
    for (let i = 0; i < 6; i++) await sendTemperature(`t${i}`, windowMs + i * 10_000, 60 + i);
    const events = await streamEvents();
    expect(events.map(({ eventId, kind, items }) => ({ eventId, kind, items }))).toEqual(
      Array.from({ length: 6 }, (_, i) => ({ eventId: `t${i}`, kind: 'telemetry', items: 1 })),
    );
    expect(events.map(({ payload }) => JSON.parse(Buffer.from(payload).toString()) as object)).toMatchObject(
      Array.from({ length: 6 }, (_, i) => ({ ts: windowMs + i * 10_000, metrics: { temperature: 60 + i } })),
    );
    expect(events.at(-1)).toMatchObject({ cumulativeItems: 6, key: `${TENANT}/${SITE}/${MACHINE}` });
  });

  step('4. it is stored, and the API has its series', async () => {
    expect(await platform.drainedLedger()).toMatchObject({ exact: true, accepted: 6, stored: 6 });
    expect(await series('temperature')).toEqual({
      ts: Array.from({ length: 6 }, (_, i) => windowMs + i * 10_000),
      values: [60, 61, 62, 63, 64, 65],
    });
  });

  step('5. a later reading closes the window of the minute, which has its features', async () => {
    await sendTemperature('closes', windowMs + 75_000, 65);
    await until('the window is stored', async () => (await series('temperature:mean')).values.length === 1);
    const ended = { ts: [windowMs + 60_000] };
    expect(await series('temperature:mean')).toEqual({ ...ended, values: [62.5] });
    expect(await series('temperature:min')).toEqual({ ...ended, values: [60] });
    expect(await series('temperature:max')).toEqual({ ...ended, values: [65] });
    expect((await series('temperature:slope')).values[0]).toBeCloseTo(0.1, 10);
  });

  step('6. its waveforms are stored, and have their features', async () => {
    for (let i = 0; i < baselineVectors; i++) await sendWaveform(HEALTHY_G);
    const newest = await newestFeatures(sent.waveforms);
    expect(newest.waveform).toMatchObject({
      sensor: 'de',
      sampleRateHz: SAMPLE_RATE_HZ,
      sampleCount: SAMPLES,
      unit: 'g',
    });
    expect(newest.values['de.rms_g']).toBeCloseTo(rmsG(HEALTHY_G), 6);
    expect(newest.values['de.band_500_1000_hz_rms_g']).toBeCloseTo(HEALTHY_G / Math.SQRT2, 5);
    expect(newest.isoZone).toMatchObject({ verdict: 'none', codes: expect.arrayContaining(['record_too_short']) });
  });

  step('7. the model that was learnt of them calls the next ones healthy', async () => {
    for (let i = 0; i < smoothing; i++) await sendWaveform(HEALTHY_G);
    await until('a judged score is stored', async () => (await series('de.anomaly_score')).values.length > 0);
    const { values } = await series('de.anomaly_score');
    expect(values).toHaveLength(1);
    expect(values[0]).toBeCloseTo(0, 3);
    expect((await series('de.health')).values[0]).toBeCloseTo(1, 3);
    expect(await alarms('')).toEqual([]);
  });

  step('8. a bearing gets worse: the prediction rises to the score that the ratio gives', async () => {
    heard = await SseListener.connect(platform);
    for (let i = 0; i < 3; i++) await sendWaveform(HEALTHY_G * DAMAGE);
    await until('its scores are stored', async () => (await series('de.anomaly_score')).values.length === 4);
    const { values } = await series('de.anomaly_score');
    // The median of five: the third bad one decides.
    expect(values[2]).toBeCloseTo(0, 3);
    expect(values[3]).toBeCloseTo(DAMAGED_SCORE, 3);
    expect((await series('de.health')).values[3]).toBe(0);
  });

  step('9. the alarm is raised, says why, and is in the journal', async () => {
    await until('there is an alarm', async () => (await alarms('')).length > 0);
    const all = await alarms('');
    expect(all).toHaveLength(1);
    const alarm = all[0]!;
    alarmId = alarm.id;
    expect(alarm).toMatchObject({
      ...{ machine: MACHINE, title: 'Unlike its healthy self', priority: 'high', state: 'unacknowledged' },
      ...{ active: true, raisedMs: nextWaveformMs - WAVEFORM_EVERY_MS },
      parts: [{ kind: 'model-score', sensor: 'de', limit: threshold, active: true, occurrences: 1 }],
    });
    const [part] = alarm.parts;
    expect(part?.value).toBeCloseTo(DAMAGED_SCORE, 3);
    expect(part?.message).toMatch(
      /^the score of vibration-health 9 is above 3, most of all band_\S+ at 8 times its baseline$/,
    );
    expect(part?.waveformId).toBe((await newestFeatures(sent.waveforms)).waveform.id);
    expect(await journal()).toMatchObject([{ sequence: 1, action: 'raised', stateAfter: 'unacknowledged' }]);
  });

  step('10. people are notified over HTTP, once and signed', async () => {
    await until('the receiver was told', async () => notified.length > 0);
    expect(notified).toHaveLength(1);
    const { headers, body } = notified[0]!;
    const signed = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`;
    expect(headers['webhook-signature']).toBe(`v1,${createHmac('sha256', SECRET).update(signed).digest('base64')}`);
    expect(headers['idempotency-key']).toBe(headers['webhook-id']);
    expect(JSON.parse(body)).toMatchObject({
      ...{ specversion: '1.0', type: 'io.tribo.alarm.raised', subject: alarmId },
      ...{ source: `/tenants/${TENANT}/sites/${SITE}/machines/${MACHINE}`, id: headers['webhook-id'] },
      data: { change: 'raised', alarm: { id: alarmId, priority: 'high', parts: [{ limit: threshold }] } },
    });
  });

  step('11. who listens to the event stream sees it', async () => {
    await until('it was heard', async () => heard!.alarms.length > 0);
    expect(heard!.alarms).toMatchObject([{ change: 'raised', alarm: { id: alarmId, state: 'unacknowledged' } }]);
  });

  step('12. it is acknowledged over the API, with who and why', async () => {
    await platform.api.request('POST', `/v1/alarms/${alarmId}/acknowledge`, { comment: 'heard it, ordered a 6309' });
    expect(await get<AlarmView>(`/v1/alarms/${alarmId}`)).toMatchObject({
      ...{ state: 'acknowledged', active: true, acknowledged: true, comment: 'heard it, ordered a 6309' },
      acknowledgedBy: expect.stringMatching(/./),
    });
    await until('it was heard', async () => heard!.alarms.length > 1);
    expect(heard!.alarms[1]).toMatchObject({ change: 'acknowledged', alarm: { id: alarmId, state: 'acknowledged' } });
  });

  step('13. the vibration falls again: the alarm returns to normal', async () => {
    for (let i = 0; i < 3; i++) await sendWaveform(HEALTHY_G);
    await until('it is normal', async () => (await alarms('')).length === 0);
    const alarm = await get<AlarmView>(`/v1/alarms/${alarmId}`);
    expect(alarm).toMatchObject({ state: 'normal', active: false, returnedMs: nextWaveformMs - WAVEFORM_EVERY_MS });
    expect((await journal()).map(({ action, stateAfter }) => [action, stateAfter])).toEqual([
      ['raised', 'unacknowledged'],
      ['acknowledged', 'acknowledged'],
      ['returned', 'normal'],
    ]);
    await until('it was heard', async () => heard!.alarms.length > 2);
    expect(heard!.alarms[2]).toMatchObject({ alarm: { id: alarmId, state: 'normal' } });
  });

  step('14. the ledger accounts for each item, and people were called once', async () => {
    const total = sent.readings + sent.waveforms;
    expect(await platform.drainedLedger()).toMatchObject({
      ...{
        exact: true,
        accepted: total,
        stored: total,
        duplicate: 0,
        rejected: 0,
        deadLettered: 0,
        pending: 0,
        lost: 0,
      },
      stages: [
        { stream: 'metrics', accepted: sent.readings },
        { stream: 'raw-waveform', accepted: sent.waveforms },
      ],
    });
    expect(notified).toHaveLength(1);
    expect(loggedBy(platform)).toMatchObject([{ level: 'warn', alarmId, msg: `Anomaly Detected: ${MACHINE}` }]);
  });
});

function step(name: string, run: () => Promise<void>): void {
  it(name, run, TIMEOUT_MS);
}

/** Its log, which at this level has the alarm's own line alone. */
function loggedBy({ log }: PlatformProcess): readonly unknown[] {
  return log.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as unknown]));
}

async function sendTemperature(id: string, ts: number, temperature: number): Promise<void> {
  const topic = `tribo/v1/${TENANT}/${SITE}/${MACHINE}/telemetry`;
  await device!.publishTo(topic, JSON.stringify({ id, ts, metrics: { temperature } }));
  sent.readings += 1;
}

/** A tenth of a second of tones, a second after the one before; resolves with its PUBACK. */
async function sendWaveform(bandPeakG: number): Promise<void> {
  const samples = Float32Array.from({ length: SAMPLES }, (_, index) =>
    [SHAFT, ...BAND_TONES_HZ.map((hz) => ({ hz, peakG: bandPeakG }))].reduce(
      (sum, { hz, peakG }) => sum + peakG * Math.sin((2 * Math.PI * hz * index) / SAMPLE_RATE_HZ),
      0,
    ),
  );
  const waveform = {
    ...{ id: `w${sent.waveforms}`, ts: nextWaveformMs, sampleRateHz: SAMPLE_RATE_HZ, unit: 'g', encoding: 'f32le' },
    ...{ rpm: 1500, samples: Buffer.from(samples.buffer).toString('base64') },
  };
  await device!.publishTo(`tribo/v1/${TENANT}/${SITE}/${MACHINE}/waveform/de`, JSON.stringify(waveform));
  nextWaveformMs += WAVEFORM_EVERY_MS;
  sent.waveforms += 1;
}

/** Of {@link sendWaveform}'s tones. */
function rmsG(bandPeakG: number): number {
  return Math.sqrt((SHAFT.peakG ** 2 + BAND_TONES_HZ.length * bandPeakG ** 2) / 2);
}

/** What the stream `metrics` holds on disk, read beside the platform. */
async function streamEvents(): Promise<readonly StampedEvent[]> {
  const stream = new LmdbEventStream({
    ...{ directory: join(platform.dataDir, 'streams'), source: 'test', publishes: [] },
    streams: { metrics: DEFAULT_RETENTION.metrics },
  });
  try {
    const events: StampedEvent[] = [];
    for await (const some of stream.readTail('metrics', { maxEvents: 100, sinceMs: 0 })) events.push(...some);
    return events;
  } finally {
    await stream.close();
  }
}

function get<Body>(path: string): Promise<Body> {
  return platform.api.request<Body>('GET', path);
}

async function series(metric: string): Promise<{ readonly ts: readonly number[]; readonly values: readonly number[] }> {
  const query = new URLSearchParams({ site: SITE, metric, from: String(windowMs), to: String(Date.now() + 600_000) });
  const { ts, columns } = await get<Series>(`/v1/machines/${MACHINE}/series?${query.toString()}`);
  return { ts, values: columns['value'] ?? [] };
}

/** The features of the newest waveform, once there are so many waveforms and it has its features. */
async function newestFeatures(waveforms: number): Promise<WaveformFeaturesView> {
  let newest: WaveformFeaturesView | undefined;
  await until(`${waveforms} waveforms have their features`, async () => {
    const { items } = await get<WaveformList>(`/v1/machines/${MACHINE}/waveforms?site=${SITE}&limit=500`);
    if (items.length !== waveforms) return false;
    newest = await get<WaveformFeaturesView>(`/v1/waveforms/${encodeURIComponent(items[0]!.id)}/features`);
    return Object.keys(newest.values).length > 0;
  });
  return newest!;
}

async function alarms(further: string): Promise<readonly AlarmView[]> {
  return (await get<{ items: readonly AlarmView[] }>(`/v1/alarms?machine=${MACHINE}&site=${SITE}${further}`)).items;
}

async function journal(): Promise<readonly JournalEntryView[]> {
  return (await get<{ items: readonly JournalEntryView[] }>(`/v1/alarms/${alarmId}/journal`)).items;
}

/** A listener of the event stream, as a page is one, that keeps what it heard of alarms. */
class SseListener {
  readonly alarms: AlarmEvent[] = [];
  readonly #stopping = new AbortController();

  static async connect(from: PlatformProcess): Promise<SseListener> {
    const listener = new SseListener();
    const response = await fetch(new URL('/v1/events?topics=alarms', from.url), {
      headers: { authorization: `Bearer ${from.api.token}` },
      signal: listener.#stopping.signal,
    });
    expect(response.status).toBe(200);
    void listener.#listen(response).catch(() => undefined);
    return listener;
  }

  close(): void {
    this.#stopping.abort();
  }

  async #listen(response: Response): Promise<void> {
    let text = '';
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk).toString();
      const events = text.split('\n\n');
      text = events.pop() ?? '';
      for (const event of events) {
        const data = /^event: alarm\n(?:id: .*\n)?data: (.*)$/m.exec(event)?.[1];
        if (data !== undefined) this.alarms.push(JSON.parse(data) as AlarmEvent);
      }
    }
  }
}
