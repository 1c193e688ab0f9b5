import { setTimeout as sleep } from 'node:timers/promises';
import mqtt, { type MqttClient } from 'mqtt';
import { Container } from 'inversify';
import { embeddedModule } from '#adapters/embedded/module.ts';
import type { AlarmNotice } from '#core/ports/alarm-journal.ts';
import type { EventStream } from '#core/ports/event-stream.ts';
import { portToken } from '#core/ports/tokens.ts';
import { loadConfiguration } from '#services/shared/config/load.ts';
import { SITE, type RunningPlatform } from './running-platform.ts';
import { percentiles, type Percentiles } from './statistics.ts';

/** What somebody who watches the platform under load finds. */
export interface ProbeResult {
  readonly apiMs: Percentiles;
  /** From the publish to the answer of the API that holds the reading; asked for again every 20 ms. */
  readonly storedMs: Percentiles;
  /** From the publish of the excursion to the time at which the journal recorded the alarm's change, just before its commit. */
  readonly alarmJournalledMs: Percentiles;
  /** To the delivery of the change to a consumer of the stream `alarms`, here in another process. */
  readonly alarmOnStreamMs: Percentiles;
  /** To its arrival by Server-Sent Events. */
  readonly alarmBySseMs: Percentiles;
  /** Changes that were published and not seen by both within a few seconds of the end. */
  readonly alarmsMissing: number;
}

const PROBE = 'probe';
const EXCURSION = 'excursion';
const ALARM_MACHINES = 20;
const CHANGES_PER_S = 10;
const API_EVERY_MS = 50;
const STORED_EVERY_MS = 200;
/** Asking costs the store time that what is measured beside it lacks. */
const STORED_POLL_MS = 20;
const WAIT_MS = 10_000;

interface Change {
  readonly publishedMs: number;
  readonly publishedWallMs: number;
  onStreamMs?: number;
  bySseMs?: number;
  journalledMs?: number;
}

/** Published excursions on some of the load's machines, and who sees their alarms. */
export class Probes implements AsyncDisposable {
  readonly #platform: RunningPlatform;
  readonly #client: MqttClient;
  readonly #closing = new AbortController();
  readonly #closers: (() => Promise<unknown>)[] = [];
  /** By machine and time of the reading. */
  readonly #changes = new Map<string, Change>();
  /** By alarm and number of its entry: who comes first waits for the other. */
  readonly #byEntry = new Map<string, { change?: Change; sseMs?: number }>();
  readonly #isHigh = new Set<string>();
  #turn = 0;
  #lastTs = 0;

  private constructor(platform: RunningPlatform, client: MqttClient) {
    this.#platform = platform;
    this.#client = client;
  }

  /** The machines `m-0`, ... must be described. */
  static async open(platform: RunningPlatform): Promise<Probes> {
    await platform.send('PUT', '/v1/plant', { site: SITE, machines: [{ id: PROBE, class: 'other' }] });
    const machines = Array.from({ length: ALARM_MACHINES }, (_, i) => `m-${i}`);
    await platform.send('PUT', `/v1/rules/${EXCURSION}`, {
      id: EXCURSION,
      kind: 'threshold',
      text: 'Excursion of the bench',
      metric: EXCURSION,
      direction: 'above',
      limit: 5,
      operatingStates: ['running', 'stopped', 'maintenance'],
    });
    const { device, secret } = await platform.addDevice('bench-probe', [PROBE, ...machines]);
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${platform.mqttPort}`, {
      clientId: device,
      username: device,
      password: secret,
      reconnectPeriod: 0,
    });
    const probes = new Probes(platform, client);
    await probes.#watchStream();
    await probes.#watchServerSentEvents();
    return probes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    for (const close of this.#closers.reverse()) await close();
    await this.#client.endAsync(true);
  }

  /** Asks, publishes and watches for so long. */
  async run(seconds: number): Promise<ProbeResult> {
    const untilMs = performance.now() + seconds * 1000;
    this.#changes.clear();
    this.#byEntry.clear();
    const excursions = this.#makeExcursions(untilMs);
    const [apiMs, storedMs] = await Promise.all([this.#askApi(untilMs), this.#askForStored(untilMs)]);
    await excursions;
    const changes = [...this.#changes.values()];
    const isSeen = ({ onStreamMs, bySseMs }: Change) => onStreamMs !== undefined && bySseMs !== undefined;
    const giveUpMs = performance.now() + WAIT_MS / 2;
    while (!changes.every(isSeen) && performance.now() < giveUpMs) await sleep(20);
    const of = (pick: (change: Change) => number | undefined) =>
      percentiles(changes.map(pick).filter((ms) => ms !== undefined));
    return {
      apiMs: percentiles(apiMs),
      storedMs: percentiles(storedMs),
      alarmJournalledMs: of(({ journalledMs }) => journalledMs),
      alarmOnStreamMs: of(({ onStreamMs }) => onStreamMs),
      alarmBySseMs: of(({ bySseMs }) => bySseMs),
      alarmsMissing: changes.filter((change) => !isSeen(change)).length,
    };
  }

  /** As a dashboard does, one call after the other. */
  async #askApi(untilMs: number): Promise<number[]> {
    const fromMs = Date.now() - 900_000;
    const paths = [
      () => '/v1/machines?limit=50',
      (i: number) => `/v1/machines/m-${i % ALARM_MACHINES}?site=${SITE}`,
      (i: number) =>
        `/v1/machines/m-${i % ALARM_MACHINES}/series?site=${SITE}&metric=m1&from=${fromMs}&to=${Date.now()}&step=1m`,
      () => '/v1/alarms?limit=50',
    ];
    const tookMs: number[] = [];
    for (let i = 0; performance.now() < untilMs; i++) {
      const began = performance.now();
      await this.#platform.get(paths[i % paths.length]!(i));
      tookMs.push(performance.now() - began);
      await sleep(API_EVERY_MS);
    }
    return tookMs;
  }

  async #askForStored(untilMs: number): Promise<number[]> {
    const tookMs: number[] = [];
    while (performance.now() < untilMs) {
      const ts = this.#nextTs();
      const began = performance.now();
      this.#publish(PROBE, ts, { [PROBE]: 1 });
      const path = `/v1/machines/${PROBE}/series?site=${SITE}&metric=${PROBE}&from=${ts}&to=${ts + 1}`;
      while (performance.now() - began < WAIT_MS) {
        const { ts: found } = await this.#platform.get<{ readonly ts: readonly number[] }>(path);
        if (found.length > 0) break;
        await sleep(STORED_POLL_MS);
      }
      tookMs.push(performance.now() - began);
      await sleep(STORED_EVERY_MS);
    }
    return tookMs;
  }

  async #makeExcursions(untilMs: number): Promise<void> {
    while (performance.now() < untilMs) {
      const machine = `m-${this.#turn++ % ALARM_MACHINES}`;
      const high = !this.#isHigh.delete(machine);
      if (high) this.#isHigh.add(machine);
      const ts = this.#nextTs();
      this.#changes.set(`${machine}@${ts}`, { publishedMs: performance.now(), publishedWallMs: wallMs() });
      this.#publish(machine, ts, { [EXCURSION]: high ? 9 : 1 });
      await sleep(1000 / CHANGES_PER_S);
    }
  }

  /** No two readings of the probes have the same time. */
  #nextTs(): number {
    this.#lastTs = Math.max(this.#lastTs + 1, Date.now());
    return this.#lastTs;
  }

  #publish(machine: string, ts: number, metrics: Readonly<Record<string, number>>): void {
    const topic = `tribo/v1/demo/${SITE}/${machine}/telemetry`;
    this.#client.publish(topic, JSON.stringify({ id: `probe-${ts}`, ts, metrics }), { qos: 1 });
  }

  async #watchStream(): Promise<void> {
    const { dataDir } = this.#platform;
    const { streamRetentionDays, streamMaxBytes } = loadConfiguration({ env: {} });
    const streamRetentionMs = streamRetentionDays * 86_400_000;
    const embedded = embeddedModule({ dataDir, processName: 'bench', streamRetentionMs, streamMaxBytes });
    const container = new Container();
    container.load(embedded.module);
    const stream = await container.getAsync<EventStream>(portToken('eventStream'));
    this.#closers.push(() => embedded.close());
    await stream.declareGroup('alarms', 'bench');
    const subscription = await stream.subscribe(
      'alarms',
      'bench',
      async (batch) => {
        for (const { payload } of batch.events) {
          this.#seenOnStream(JSON.parse(Buffer.from(payload).toString()) as AlarmNotice);
        }
        await batch.ack();
      },
      { maxBatchEvents: 1000 },
    );
    this.#closers.push(() => subscription.close());
  }

  #seenOnStream({ entry }: AlarmNotice): void {
    const { transition } = entry;
    if (!('machine' in transition)) return;
    const machine = transition.machine.slice(transition.machine.lastIndexOf('/') + 1);
    const change = this.#changes.get(`${machine}@${transition.atMs}`);
    if (!change || change.onStreamMs !== undefined) return;
    change.onStreamMs = performance.now() - change.publishedMs;
    change.journalledMs = entry.recordedAtMs - change.publishedWallMs;
    const seen = this.#entry(`${entry.alarmId}.${entry.sequence}`);
    seen.change = change;
    if (seen.sseMs !== undefined) change.bySseMs = seen.sseMs - change.publishedMs;
  }

  async #watchServerSentEvents(): Promise<void> {
    const response = await fetch(new URL(`/v1/events?topics=alarms&site=${SITE}`, this.#platform.url), {
      headers: { authorization: `Bearer ${this.#platform.token}` },
      signal: this.#closing.signal,
    });
    if (!response.ok || !response.body) throw new Error(`GET /v1/events: ${response.status}`);
    const read = async (body: AsyncIterable<Uint8Array>): Promise<void> => {
      const decoder = new TextDecoder();
      let text = '';
      for await (const chunk of body) {
        text += decoder.decode(chunk, { stream: true });
        const lines = text.split('\n');
        text = lines.pop() ?? '';
        for (const line of lines) if (line.startsWith('id:')) this.#seenBySse(line.slice(3).trim());
      }
    };
    this.#closers.push(() => reading);
    const reading = read(response.body).catch(() => undefined);
  }

  /** The id is the time of recording, the alarm, and the number of its entry. */
  #seenBySse(id: string): void {
    const seen = this.#entry(id.slice(id.indexOf('.') + 1));
    seen.sseMs ??= performance.now();
    if (seen.change) seen.change.bySseMs ??= seen.sseMs - seen.change.publishedMs;
  }

  #entry(key: string): { change?: Change; sseMs?: number } {
    let entry = this.#byEntry.get(key);
    if (!entry) this.#byEntry.set(key, (entry = {}));
    return entry;
  }
}

/** The wall clock with fractions, to compare with times that other processes of this machine recorded. */
function wallMs(): number {
  return performance.timeOrigin + performance.now();
}
