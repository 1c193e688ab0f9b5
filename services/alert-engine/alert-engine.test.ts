import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import type { z } from 'zod';
import { DuckDbTimeSeriesStore } from '#adapters/embedded/duckdb-time-series-store/duckdb-time-series-store.ts';
import { LmdbEventStream } from '#adapters/embedded/lmdb-event-stream/lmdb-event-stream.ts';
import { DEFAULT_RETENTION } from '#adapters/embedded/lmdb-event-stream/config.ts';
import { SqliteAlarmJournal } from '#adapters/embedded/sqlite-alarm-journal/sqlite-alarm-journal.ts';
import { SqliteCheckpointStore } from '#adapters/embedded/sqlite-checkpoint-store/sqlite-checkpoint-store.ts';
import { sqliteRuleStoreConfigSchema } from '#adapters/embedded/sqlite-rule-store/config.ts';
import { SqliteRuleStore } from '#adapters/embedded/sqlite-rule-store/sqlite-rule-store.ts';
import { webhookNotifierConfigSchema } from '#adapters/embedded/webhook-notifier/config.ts';
import { WebhookNotifier } from '#adapters/embedded/webhook-notifier/webhook-notifier.ts';
import { DEFAULT_RULES } from '#core/alerting/default-rules.ts';
import type { WindowBody } from '#core/alerting/window-documents.ts';
import { systemClock } from '#core/clock.ts';
import { until } from '#core/contracts/until.ts';
import { foldJournal, type Alarm, type AlarmState } from '#core/domain/alarm.ts';
import type { MachineEvent, StreamName } from '#core/domain/event.ts';
import { machineKey, type MachineId, type RuleId, type SiteId, type TenantId } from '#core/domain/ids.ts';
import { machineSchema } from '#core/domain/plant.ts';
import { ruleSchema, type RuleDescription } from '#core/domain/rule.ts';
import { PortError } from '#core/errors.ts';
import type { HealthVerdict } from '#core/inference/prediction.ts';
import type { AlarmNotice, NoticeKind } from '#core/ports/alarm-journal.ts';
import type { DeadLetter, DerivedDocument } from '#core/ports/time-series-store.ts';
import { startHttpReceiver } from '#test/support/http-receiver.ts';
import { MemoryMachineRegistry } from '#test/support/memory-machine-registry.ts';
import {
  ALERT_INPUTS,
  startAlertEngine,
  type AlertEngineDependencies,
  type RunningAlertEngine,
} from './alert-engine.ts';
import { alertEngineConfigSchema } from './config.ts';

const TENANT = 'north' as TenantId;
const SITE = 'akron' as SiteId;
const PRESS = machineKey(TENANT, SITE, 'press-7' as MachineId);
const T0 = 1_795_222_800_000;

const hot: RuleDescription = {
  kind: 'threshold',
  id: 'hot',
  text: 'Hot',
  metric: 'heat',
  direction: 'above',
  limit: 80,
};

/** The engine between real streams and stores in a folder; what its outside sees is collected. */
class Plant {
  readonly folder = mkdtempSync(join(tmpdir(), 'tribo-alerts-'));
  readonly stream = this.#openStream('test');
  readonly machines = new MemoryMachineRegistry();
  readonly notices: AlarmNotice[] = [];
  readonly windows: DerivedDocument[] = [];
  readonly posted: { readonly id: string; readonly type: string }[] = [];
  webhookAnswers = 200;
  journal!: SqliteAlarmJournal;
  rules!: SqliteRuleStore;
  checkpoints!: SqliteCheckpointStore;
  /** Why the time-series store settles nothing. */
  storeProblem: PortError | undefined;
  #store: Promise<DuckDbTimeSeriesStore> | undefined;
  #published = 0;
  readonly #closing: (() => Promise<unknown>)[] = [];

  static async open(...rules: RuleDescription[]): Promise<Plant> {
    const plant = new Plant();
    const path = (name: string) => join(plant.folder, name);
    plant.journal = await SqliteAlarmJournal.open({ databasePath: path('alarms.db'), changePollMs: 20 }, systemClock);
    const rulesConfig = sqliteRuleStoreConfigSchema.parse({ databasePath: path('rules.db'), changePollMs: 20 });
    plant.rules = await SqliteRuleStore.open(rulesConfig, systemClock);
    plant.checkpoints = await SqliteCheckpointStore.open({ databasePath: path('state.db') }, systemClock);
    await plant.machines.putMachine(TENANT, SITE, machineSchema.parse({ id: 'press-7', class: 'press' }));
    for (const rule of rules) await plant.rules.put(TENANT, ruleSchema.parse(rule), { by: 'asha' });
    await plant.stream.declareGroup('alarms', 'test');
    await plant.stream.declareGroup('windows', 'test');
    const batches = { maxBatchEvents: 1000 };
    await plant.stream.subscribe(
      'alarms',
      'test',
      async (batch) => {
        plant.notices.push(
          ...batch.events.map(({ payload }) => JSON.parse(Buffer.from(payload).toString()) as AlarmNotice),
        );
        await batch.ack();
      },
      batches,
    );
    await plant.stream.subscribe(
      'windows',
      'test',
      async (batch) => {
        plant.windows.push(
          ...batch.events.map(({ payload }) => JSON.parse(Buffer.from(payload).toString()) as DerivedDocument),
        );
        await batch.ack();
      },
      batches,
    );
    return plant;
  }

  async start(
    overrides: Partial<AlertEngineDependencies> = {},
    config: Partial<z.input<typeof alertEngineConfigSchema>> = {},
  ): Promise<RunningAlertEngine> {
    const engineStream = this.#openStream('alert-engine');
    const engine = await startAlertEngine(
      alertEngineConfigSchema.parse({ notifyFirstDelayMs: 20, leaseMs: 5000, saveEveryMs: 500, ...config }),
      {
        stream: engineStream,
        journal: this.journal,
        rules: this.rules,
        machines: this.machines,
        checkpoints: this.checkpoints,
        store: {
          settle: async (...given) => {
            if (this.storeProblem) throw this.storeProblem;
            return (await this.store()).settle(...given);
          },
        },
        notifiers: [],
        clock: systemClock,
        logger: pino({ level: 'silent' }),
        metrics: new Registry(),
        ...overrides,
      },
    );
    const close = engine.close.bind(engine);
    let closed: Promise<void> | undefined;
    const closeAll = () => (closed ??= close().then(() => engineStream.close()));
    this.#closing.push(closeAll);
    return Object.assign(engine, { close: closeAll });
  }

  store(): Promise<DuckDbTimeSeriesStore> {
    return (this.#store ??= DuckDbTimeSeriesStore.open({ directory: join(this.folder, 'time-series') }));
  }

  /** The dead letters, the oldest first. */
  async letters(): Promise<readonly DeadLetter[]> {
    return [...(await (await this.store()).deadLetters({ tenant: TENANT, limit: 100 }))].reverse();
  }

  /** Publishes what nobody can read. */
  poison(stream: StreamName, kind: MachineEvent['kind']): Promise<unknown> {
    return this.stream.publish(stream, [{ ...this.message(0, {}), kind, payload: Buffer.from('{') }]);
  }

  /** A journal whose recording is another; all else is as it is. */
  journalThat(record: SqliteAlarmJournal['record']): SqliteAlarmJournal {
    const journal = Object.create(this.journal) as SqliteAlarmJournal;
    journal.record = record;
    for (const name of [
      'activeAlarms',
      'onChange',
      'pendingMessages',
      'markDelivered',
      'dueShelvings',
      'outboxCounts',
    ] as const) {
      Object.defineProperty(journal, name, { value: this.journal[name].bind(this.journal) });
    }
    return journal;
  }

  /** A device message at so many milliseconds after T0. */
  read(atMs: number, metrics: Record<string, number>, event: Partial<MachineEvent> = {}): Promise<unknown> {
    return this.stream.publish('metrics', [this.message(atMs, metrics, event)]);
  }

  message(atMs: number, metrics: Record<string, number>, event: Partial<MachineEvent> = {}): MachineEvent {
    const payload = Buffer.from(JSON.stringify({ ts: T0 + atMs, metrics }));
    const items = Object.keys(metrics).length;
    const eventId = `e${this.#published++}`;
    return { eventId, kind: 'telemetry', key: PRESS, items, acceptedAtMs: Date.now(), payload, ...event };
  }

  predict(atMs: number, score: number, verdict?: HealthVerdict): Promise<unknown> {
    const document: DerivedDocument = {
      kind: 'prediction',
      id: `p${atMs}`,
      revision: 1,
      ts: T0 + atMs,
      sensor: 'de',
      values: { 'de.anomaly_score': score },
      body: { model: { name: 'vibration-health', version: 7 }, threshold: 3, waveformId: 'w-1', verdict },
    };
    const event: MachineEvent = {
      eventId: document.id,
      kind: 'prediction',
      key: PRESS,
      items: 0,
      acceptedAtMs: T0 + atMs,
      payload: Buffer.from(JSON.stringify(document)),
    };
    return this.stream.publish('inference-results', [event]);
  }

  /** The features of a waveform. */
  waveform(atMs: number): Promise<unknown> {
    const document: DerivedDocument = {
      kind: 'features',
      id: `f${atMs}`,
      revision: 1,
      ts: T0 + atMs,
      sensor: 'de',
      values: { 'de.rms_g': 1 },
      body: { waveformId: 'w-1' },
    };
    const payload = Buffer.from(JSON.stringify(document));
    return this.stream.publish('features', [{ ...this.message(atMs, {}), kind: 'features', payload }]);
  }

  /** A real receiver of notifications. */
  async webhook(events?: NoticeKind[]): Promise<WebhookNotifier> {
    const receiver = await startHttpReceiver((_request, response, body) => {
      if (this.webhookAnswers < 300) this.posted.push(JSON.parse(body.toString()) as Plant['posted'][number]);
      response.writeHead(this.webhookAnswers).end();
    });
    this.#closing.push(() => receiver[Symbol.asyncDispose]());
    const config = webhookNotifierConfigSchema.parse({ url: receiver.url, secret: '0123456789abcdef', events });
    return new WebhookNotifier(config, systemClock);
  }

  alarms(states?: readonly AlarmState[]): Promise<readonly Alarm[]> {
    return this.journal.list({ tenant: TENANT, limit: 100, ...(states && { states }) });
  }

  /** All that was ever journalled, in a form that two runs can be compared by. */
  async history(): Promise<string[]> {
    const { entries } = await this.journal.entries({ tenant: TENANT, fromMs: 0, toMs: 1e15, limit: 10_000 });
    for (const alarmId of new Set(entries.map((entry) => entry.alarmId))) {
      expect(foldJournal(entries.filter((entry) => entry.alarmId === alarmId))).toEqual(
        await this.journal.alarm(TENANT, alarmId),
      );
    }
    return entries.map(({ transition, stateAfter }) => `${transition.type} ${transition.id} ${stateAfter}`);
  }

  async dispose(): Promise<void> {
    for (const close of this.#closing.reverse()) await close();
    await this.stream.close();
    await (await this.#store)?.close();
    for (const store of [this.journal, this.rules, this.checkpoints]) await store.close();
    rmSync(this.folder, { recursive: true });
  }

  #openStream(source: string): LmdbEventStream {
    return new LmdbEventStream({
      directory: join(this.folder, 'streams'),
      source,
      streams: DEFAULT_RETENTION,
      checkpointIntervalMs: 1,
    });
  }
}

let plant: Plant;
const opened: Plant[] = [];
async function openPlant(...rules: RuleDescription[]): Promise<Plant> {
  const fresh = await Plant.open(...rules);
  opened.push(fresh);
  return fresh;
}
beforeEach(async () => {
  plant = await openPlant(hot);
});
afterEach(async () => {
  for (const each of opened.splice(0)) await each.dispose();
});

describe('alert engine', () => {
  it('raises an alarm from readings alone: journalled, listed, and told on the stream', async () => {
    await plant.start();
    await plant.read(0, { heat: 81 });
    await until(() => plant.notices.length === 1);
    const [alarm] = await plant.alarms();
    expect(alarm).toMatchObject({
      machine: PRESS,
      state: 'unacknowledged',
      raisedAtMs: T0,
      parts: [{ rule: { id: 'hot', version: 1 }, value: 81, limit: 80 }],
    });
    expect(plant.notices[0]).toMatchObject({ change: 'raised', alarm, entry: { sequence: 1 } });
  });

  it('raises an alarm from predictions alone, with model, version and waveform', async () => {
    await plant.start();
    await plant.predict(0, 4);
    await until(() => plant.notices.length === 1);
    expect((await plant.alarms())[0]?.parts).toMatchObject([
      {
        rule: { id: 'model-anomaly' },
        model: { id: 'vibration-health', version: '7' },
        sensor: 'de',
        value: 4,
        limit: 3,
        waveformId: 'w-1',
        documentId: 'p0',
      },
    ]);
  });

  it('makes one alarm of several anomalies of one machine in one window', async () => {
    await plant.rules.put(TENANT, ruleSchema.parse({ ...hot, id: 'loud', metric: 'noise' }), { by: 'asha' });
    await plant.start();
    await plant.read(0, { heat: 81, noise: 99 });
    await plant.predict(1000, 4);
    await until(() => plant.notices.length === 3);
    const alarms = await plant.alarms();
    expect(alarms).toHaveLength(1);
    expect(alarms[0]?.parts.map((part) => part.rule.id).sort()).toEqual(['hot', 'loud', 'model-anomaly']);
    expect(plant.notices.map((notice) => notice.change)).toEqual(['raised', 'part-added', 'part-added']);
  });

  it('puts a rule in force without a restart, and judges only what it is about', async () => {
    await plant.start();
    await plant.read(0, { noise: 99 });
    await plant.rules.put(
      TENANT,
      ruleSchema.parse({ ...hot, id: 'loud', metric: 'noise', appliesTo: { machines: ['press-*'] } }),
      { by: 'asha' },
    );
    const other = machineKey(TENANT, SITE, 'fan-1' as MachineId);
    let at = 0;
    await until(async () => {
      at += 10;
      await plant.read(at, { noise: 99 }, { key: other });
      await plant.read(at, { noise: 99 });
      return plant.notices.length > 0;
    });
    expect((await plant.alarms()).map((alarm) => alarm.machine)).toEqual([PRESS]);
  });

  it('gives a tenant the default rules once, and not those back that it deleted', async () => {
    const first = await plant.start();
    const ids = async () => (await plant.rules.list({ tenant: TENANT, limit: 100 })).map(({ rule }) => rule.id);
    expect(await ids()).toEqual(expect.arrayContaining(DEFAULT_RULES.map((rule) => rule.id)));
    await plant.rules.delete(TENANT, 'machine-silent' as RuleId, { by: 'asha' });
    await first.close();
    await plant.start();
    expect(await ids()).not.toContain('machine-silent');
  });

  it('notifies, lists and publishes the same alarm', async () => {
    await plant.start({ notifiers: [await plant.webhook()] });
    await plant.read(0, { heat: 81 });
    await until(() => plant.posted.length === 1 && plant.notices.length === 1);
    const [alarm] = await plant.alarms();
    expect(plant.posted[0]).toMatchObject({ type: 'io.tribo.alarm.raised', subject: alarm?.id });
    expect(plant.notices[0]?.alarm.id).toBe(alarm?.id);
  });

  it.each([
    { events: undefined, types: [] },
    { events: ['prediction' as const], types: ['io.tribo.prediction.made'] },
  ])('posts $types of a verdict that changes where the webhook takes $events', async ({ events, types }) => {
    await plant.start({ notifiers: [await plant.webhook(events)] });
    for (const atMs of [0, 1000, 2000]) await plant.predict(atMs, 1, 'healthy');
    await until(async () => (await plant.stream.lag('inference-results', 'alerts')).events === 0);
    await until(async () => !(await plant.journal.outboxCounts()).has('webhook'));
    expect(plant.posted.map(({ type }) => type)).toEqual(types);
  });

  it('tries a notification again until it is taken, under one id', async () => {
    plant.webhookAnswers = 503;
    await plant.start({ notifiers: [await plant.webhook()] });
    await plant.read(0, { heat: 81 });
    await until(
      async () =>
        ((await plant.journal.pendingMessages({ destination: 'webhook', nowMs: 1e15, limit: 1 }))[0]?.attempts ?? 0) >=
        1,
    );
    plant.webhookAnswers = 200;
    await until(() => plant.posted.length === 1);
    await until(async () => !(await plant.journal.outboxCounts()).has('webhook'));
  });

  it('keeps a notification that will not be taken as a dead letter, says so, and sends it when asked', async () => {
    plant.webhookAnswers = 422;
    const engine = await plant.start({ notifiers: [await plant.webhook()] });
    await plant.read(0, { heat: 81 });
    await until(async () => (await engine.attention['notifications']?.()) !== undefined);
    expect(await engine.attention['notifications']?.()).toBe('1 notifications could not be sent by webhook');
    const [dead] = await plant.journal.deadMessages({ limit: 10 });
    expect(dead?.lastError).toMatchObject({ code: 'invalid_argument' });
    plant.webhookAnswers = 200;
    await plant.journal.retryDead(dead!.id);
    await until(() => plant.posted.length === 1);
    expect(await engine.attention['notifications']?.()).toBeUndefined();
  });

  it('ends what is active when maintenance is noted, and judges again when it is over', async () => {
    await plant.start();
    const nowMs = Date.now();
    const at = nowMs - T0;
    const note = (id: string, kind: 'maintenance-start' | 'maintenance-end', atMs: number) =>
      plant.machines.addMachineEvent({ id, key: PRESS, kind, atMs, by: 'maria', text: '' });
    await plant.read(at - 5000, { heat: 81 });
    await until(() => plant.notices.length === 1);
    await note('s', 'maintenance-start', nowMs - 4000);
    await until(() => plant.notices.length === 2);
    expect(plant.notices[1]).toMatchObject({ alarm: { active: false, returnedAtMs: nowMs - 4000 } });
    await note('e', 'maintenance-end', nowMs - 2000);
    await plant.read(at - 3000, { heat: 99 });
    for (let n = 0; plant.notices.length < 3; n++) {
      await plant.read(at + n, { heat: 98 });
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(plant.notices[2]?.alarm.parts).toMatchObject([{ active: true, value: 98 }]);
  });

  it('alarms a running machine that has fallen silent', async () => {
    await plant.rules.put(
      TENANT,
      ruleSchema.parse({ kind: 'missing-data', id: 'silent', text: 'Silent', afterMs: 2000 }),
      { by: 'asha' },
    );
    await plant.start();
    await plant.read(0, { heat: 20 });
    await until(() => plant.notices.length === 1);
    expect(plant.notices[0]).toMatchObject({
      entry: { transition: { atMs: T0 + 2000, part: { kind: 'missing-data' } } },
    });
    await plant.read(7000, { heat: 20 });
    await until(() => plant.notices.length === 2);
    expect(plant.notices[1]).toMatchObject({ change: 'returned', alarm: { state: 'rtn-unacknowledged' } });
  });

  it('alarms by a default rule each metric that stops while its machine goes on, by name, in one alarm, over a restart too', async () => {
    const feedUntil = async (fromMin: number, toMin: number, metrics: Record<string, number>) => {
      const minutes = Array.from({ length: toMin - fromMin }, (_, i) => fromMin + i);
      await plant.stream.publish(
        'metrics',
        minutes.map((minute) => plant.message(minute * 60_000, metrics)),
      );
      await settled(plant);
    };
    const first = await plant.start();
    await feedUntil(0, 30, { heat: 20, noise: 3, rpm: 1480 });
    await feedUntil(30, 40, { rpm: 1480 });
    await first.close();
    expect(plant.notices).toEqual([]);
    await plant.start();
    await feedUntil(40, 90, { rpm: 1480 });
    await until(() => plant.notices.length === 2);
    const alarms = await plant.alarms();
    expect(alarms).toHaveLength(1);
    expect(alarms[0]).toMatchObject({
      title: 'A sensor has stopped',
      parts: [
        {
          rule: { id: 'metric-missing' },
          metric: 'heat',
          message: 'heat has not come for 15 min although the machine runs',
        },
        { rule: { id: 'metric-missing' }, metric: 'noise' },
      ],
    });
    await feedUntil(90, 92, { heat: 20, noise: 3, rpm: 1480 });
    await until(() => plant.notices.length === 4);
    expect((await plant.alarms())[0]).toMatchObject({ active: false });
  });

  it('alarms a machine that sent waveforms alone and has fallen silent, but not while one waits', async () => {
    const rule = { kind: 'missing-data', id: 'silent', text: 'Silent', afterMs: 1000 } as const;
    await plant.rules.put(TENANT, ruleSchema.parse(rule), { by: 'asha' });
    await plant.stream.declareGroup('raw-waveform', 'compute');
    await plant.stream.publish('raw-waveform', [{ ...plant.message(0, {}), kind: 'waveform' }]);
    await until(async () => (await plant.stream.lag('raw-waveform', 'compute')).oldestAgeMs > 2000);
    await plant.start();
    await plant.waveform(0);
    await until(async () => (await plant.stream.lag('features', 'alerts')).events === 0);
    // Heard of later than the press, and silent as long.
    const fan = machineKey(TENANT, SITE, 'fan-1' as MachineId);
    await plant.read(0, { heat: 20 }, { key: fan });
    await until(() => plant.notices.length > 0);
    expect(plant.notices.map((notice) => notice.alarm.machine)).toEqual([fan]);
    const settling = await plant.stream.subscribe('raw-waveform', 'compute', (batch) => batch.ack(), {
      maxBatchEvents: 10,
    });
    await until(() => plant.notices.length === 2);
    expect(plant.notices[1]).toMatchObject({
      entry: { transition: { machine: PRESS, atMs: T0 + 1000, part: { kind: 'missing-data' } } },
    });
    await settling.close();
  });

  it('ends a shelving when its time is over', async () => {
    await plant.start();
    await plant.read(0, { heat: 81 });
    await until(() => plant.notices.length === 1);
    const [alarm] = await plant.alarms();
    const atMs = Date.now();
    await plant.journal.record([
      { type: 'shelve', id: 's1', alarmId: alarm!.id, atMs, by: 'asha', comment: 'known', untilMs: atMs + 500 },
    ]);
    await until(() => plant.notices.some((notice) => notice.change === 'unsilenced'));
    expect((await plant.alarms())[0]).toMatchObject({ state: 'unacknowledged' });
  });

  it('judges an imported recording in its own time, marks it, and notifies nobody', async () => {
    await plant.start({ notifiers: [await plant.webhook()] });
    await plant.read(-86_400_000, { heat: 81 }, { imported: true });
    await until(() => plant.notices.length === 1);
    expect((await plant.alarms())[0]).toMatchObject({ replayed: true, raisedAtMs: T0 - 86_400_000 });
    expect((await plant.journal.outboxCounts()).get('webhook')).toBeUndefined();
  });

  it('publishes windows of readings, which rules may judge', async () => {
    await plant.rules.put(
      TENANT,
      ruleSchema.parse({
        kind: 'feature',
        source: 'window',
        id: 'warm',
        text: 'Warm',
        feature: 'temperature_mean',
        direction: 'above',
        limit: 50,
      }),
      { by: 'asha' },
    );
    const metrics = new Registry();
    await plant.start({ metrics });
    const begin = 60_000 - (T0 % 60_000);
    for (let at = 0; at <= 80_000; at += 10_000)
      await plant.read(begin + at, { temperature: 60 + (at % 20_000) / 10_000, rpm: 1480 });
    await until(() => plant.notices.length === 1 && plant.windows.length === 1);
    expect(plant.windows[0]).toMatchObject({
      kind: 'window',
      ts: T0 + begin + 60_000,
      values: { 'temperature:mean': 60.5, 'temperature:min': 60, 'rpm:mean': 1480, 'rpm:deviation': 0 },
      body: { fromMs: T0 + begin, counts: { temperature: 6, rpm: 6 } },
    });
    expect(plant.notices[0]?.alarm.parts[0]).toMatchObject({ metric: 'temperature:mean', value: 60.5 });
    await until(async () => (await metrics.metrics()).includes('tribo_window_readings{outcome="counted"} 18'));
    expect(await metrics.metrics()).toContain('tribo_window_readings{outcome="refused"} 0');
  });

  it.each([
    new PortError('unavailable', 'the journal is away'),
    new PortError('resource_exhausted', 'the disk is full'),
    new PortError('internal', 'SQLite: something else'),
  ])('waits for a journal that takes nothing ($code), says so, and loses nothing', async (problem) => {
    let isAway = true;
    const journal = plant.journalThat((...given) => {
      if (isAway) throw problem;
      return plant.journal.record(...given);
    });
    const engine = await plant.start({ journal });
    await plant.read(0, { heat: 81 });
    await plant.read(1000, { heat: 20 });
    await until(() => engine.readiness['alert-engine']?.() !== undefined);
    expect(engine.readiness['alert-engine']?.()).toContain(problem.message);
    isAway = false;
    await until(() => plant.notices.length === 2);
    await until(() => engine.readiness['alert-engine']?.() === undefined);
    expect((await plant.alarms())[0]?.state).toBe('rtn-unacknowledged');
    expect(await plant.letters()).toEqual([]);
  });

  it('lets one process judge at a time: a second waits for the first to end', async () => {
    const first = await plant.start();
    const second = await plant.start();
    expect(first.readiness['alert-engine']?.()).toBeUndefined();
    expect(second.readiness['alert-engine']?.()).toMatch(/another process judges/);
    await first.close();
    await until(() => second.readiness['alert-engine']?.() === undefined);
    await plant.read(0, { heat: 81 });
    await until(() => plant.notices.length === 1);
  });

  it('stops judging when it has lost its lease, and takes it back, with what happened since, when the other is gone', async () => {
    const silent = { kind: 'missing-data', id: 'silent', text: 'Silent', afterMs: 2000 } as const;
    await plant.rules.put(TENANT, ruleSchema.parse(silent), { by: 'asha' });
    let mayRenew = Promise.withResolvers<undefined>();
    mayRenew.resolve(undefined);
    const checkpoints = Object.create(plant.checkpoints) as SqliteCheckpointStore;
    for (const name of ['load', 'save', 'acquireLease', 'releaseLease'] as const) {
      Object.defineProperty(checkpoints, name, { value: plant.checkpoints[name].bind(plant.checkpoints) });
    }
    checkpoints.renewLease = async (...given) => {
      await mayRenew.promise;
      return plant.checkpoints.renewLease(...given);
    };
    const first = await plant.start({ checkpoints }, { leaseMs: 3000 });
    const second = await plant.start({}, { leaseMs: 3000 });
    const feeding = new AbortController();
    const feedUntilAborted = async () => {
      for (let at = 0; !feeding.signal.aborted; at += 200) {
        await plant.read(at, { heat: 20 });
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    };
    const fed = feedUntilAborted();
    // The first is held up for longer than its lease lasts.
    mayRenew = Promise.withResolvers<undefined>();
    await until(() => second.readiness['alert-engine']?.() === undefined);
    mayRenew.resolve(undefined);
    await until(async () => (await first.readiness['alert-engine']?.())?.includes('another process judges'));
    // Silence for four ticks would be an alarm, and the first hears nothing any more.
    const lostAtMs = performance.now();
    await until(() => performance.now() - lostAtMs > 4000);
    expect(await plant.history()).toEqual([]);
    await second.close();
    await until(() => first.readiness['alert-engine']?.() === undefined);
    feeding.abort();
    await fed;
    await plant.read(600_000, { heat: 81 });
    await until(() => plant.notices.some(({ alarm }) => alarm.parts.some((part) => part.rule.id === 'hot')));
  });

  it('says what is being learned of a machine, over a restart too', async () => {
    const rule = {
      kind: 'feature',
      id: 'worse',
      text: 'Worse',
      feature: 'rms_g',
      direction: 'above',
      limit: 2,
      relativeTo: 'baseline',
    };
    await plant.rules.put(TENANT, ruleSchema.parse({ ...rule, baselineDocuments: 3 }), { by: 'asha' });
    const first = await plant.start();
    for (let at = 0; at < 2; at++) await plant.waveform(at);
    await settled(plant);
    const progress = { by: 'rule', id: 'worse', sensor: 'de', metric: 'rms_g', learnt: 2, needed: 3, sinceMs: T0 };
    expect(await first.learning(PRESS)).toContainEqual(progress);
    await first.close();
    await expect(first.learning(PRESS)).rejects.toMatchObject({ code: 'unavailable' });
    const second = await plant.start();
    expect(await second.learning(PRESS)).toContainEqual(progress);
    await plant.waveform(2);
    await settled(plant);
    expect((await second.learning(PRESS)).map(({ id }) => id)).not.toContain('worse');
  });

  it('stops within 10 s, and a second call waits for the same', async () => {
    const engine = await plant.start();
    await plant.read(0, { heat: 81 });
    const startedMs = performance.now();
    await Promise.all([engine.close(), engine.close()]);
    expect(performance.now() - startedMs).toBeLessThan(10_000);
  });
});

describe('what the alert engine cannot judge or record', () => {
  it('is a dead letter, whichever stream it came on, and holds nothing up', async () => {
    const metrics = new Registry();
    const engine = await plant.start({ metrics });
    for (let i = 0; i < 3; i++) await plant.poison('metrics', 'telemetry');
    await plant.read(0, { heat: 81 });
    await plant.poison('inference-results', 'prediction');
    await plant.predict(0, 4);
    await until(() => plant.notices.length === 2);
    await until(async () => (await plant.letters()).length === 4);
    const letters = await plant.letters();
    expect(letters.map(({ event }) => event.kind).sort()).toEqual([
      'prediction',
      'telemetry',
      'telemetry',
      'telemetry',
    ]);
    for (const { stream, machine, code, event } of letters)
      expect([stream, machine, code, event.items]).toEqual(['alarms', PRESS, 'undecodable_payload', 0]);
    expect(await metrics.metrics()).toContain('tribo_alert_dropped_total{reason="undecodable_payload"} 4');
    expect(engine.readiness['alert-engine']?.()).toBeUndefined();
  });

  it('waits for a time-series store that is away, over a restart too, while alarms are raised, and is kept once', async () => {
    plant.storeProblem = new PortError('unavailable', 'the store is away');
    const first = await plant.start();
    await plant.poison('metrics', 'telemetry');
    await plant.predict(0, 4);
    await until(() => plant.notices.length === 1);
    await until(() => first.readiness['alert-engine']?.() !== undefined);
    expect(first.readiness['alert-engine']?.()).toContain('the store is away');
    await first.close();
    const second = await plant.start();
    await plant.predict(1000, 5);
    plant.storeProblem = undefined;
    await plant.read(1000, { heat: 81 });
    await until(() => plant.notices.length === 2);
    await until(async () => (await plant.letters()).length === 1);
    await second.close();
    await plant.start();
    await plant.read(2000, { heat: 20 });
    await until(() => plant.notices.length === 3);
    expect(await plant.letters()).toHaveLength(1);
  });

  it('is judged when somebody replays it, raises its alarm once, and none when it is late by then', async () => {
    const engine = await plant.start();
    for (let i = 0; i < 2; i++) await plant.poison('metrics', 'telemetry');
    await until(async () => (await plant.letters()).length === 2);
    const [first, second] = await plant.letters();
    await until(() => engine.readiness['alert-engine']?.() === undefined);
    expect(await engine.judgeAgain(first!.event)).toMatchObject({ outcome: 'deadLettered' });
    const readable = (letter: DeadLetter, atMs: number) => ({
      ...letter.event,
      payload: Buffer.from(JSON.stringify({ ts: T0 + atMs, metrics: { heat: 81 } })),
    });
    expect(await engine.judgeAgain(readable(first!, 0))).toEqual({ outcome: 'judged' });
    expect(await engine.judgeAgain(readable(first!, 0))).toEqual({ outcome: 'duplicate' });
    // It is not only in memory: what comes after a crash knows of it.
    await engine.close();
    const again = await plant.start();
    expect(await again.judgeAgain(readable(first!, 0))).toEqual({ outcome: 'duplicate' });
    await plant.read(60_000, { heat: 20 });
    await until(async () => (await plant.history()).length === 2);
    expect(await again.judgeAgain(readable(second!, 1000))).toMatchObject({
      detail: expect.stringMatching(/too late/),
    });
    expect((await plant.history()).map((each) => each.split(' ')[0])).toEqual(['activate', 'return']);
  });

  it('is a transition that the journal refuses: the others are recorded, and it is when replayed, unless it is over', async () => {
    await plant.rules.put(TENANT, ruleSchema.parse({ ...hot, id: 'loud', metric: 'noise' }), { by: 'asha' });
    let refusing = 'hot|heat|';
    const journal = plant.journalThat((transitions, options) => {
      if (transitions.some((each) => each.type === 'activate' && each.part.key === refusing))
        throw new PortError('invalid_argument', 'on purpose');
      return plant.journal.record(transitions, options);
    });
    const engine = await plant.start({ journal });
    await plant.read(0, { heat: 81, noise: 81 });
    await until(async () => (await plant.letters()).length === 1);
    const [letter] = await plant.letters();
    expect(letter).toMatchObject({
      stream: 'alarms',
      machine: PRESS,
      code: 'invalid_argument',
      event: { kind: 'alarm' },
    });
    expect((await plant.alarms()).map((alarm) => alarm.parts.map((part) => part.rule.id))).toEqual([['loud']]);
    expect(await engine.judgeAgain(letter!.event)).toEqual({ outcome: 'deadLettered', detail: 'on purpose' });
    refusing = '';
    expect(await engine.judgeAgain(letter!.event)).toEqual({ outcome: 'judged' });
    expect(await engine.judgeAgain(letter!.event)).toEqual({ outcome: 'duplicate' });
    await plant.read(1000, { heat: 20 });
    await until(() => plant.notices.length === 3);
    expect(await engine.judgeAgain(letter!.event)).toMatchObject({ detail: expect.stringMatching(/changed since/) });
    expect(await plant.history()).toHaveLength(3);
  });
});

it('makes windows of the length and step that it is told, each of all that was read in its time', async () => {
  await plant.start({}, { windowMs: 60_000, windowStepMs: 20_000 });
  const begin = 60_000 - (T0 % 60_000);
  const heatAt = (at: number) => 60 + 5 * Math.sin(at / 9000);
  for (let at = 0; at <= 200_000; at += 5000) await plant.read(begin + at, { heat: heatAt(at) });
  // The lateness is 10 s.
  const ends = Array.from({ length: 9 }, (_unused, i) => 20_000 * (i + 1));
  await until(() => plant.windows.length === ends.length);
  const expected = ends.map((end) => {
    const times = Array.from({ length: 12 }, (_unused, i) => end - 60_000 + 5000 * i).filter((at) => at >= 0);
    const mean = times.reduce((sum, at) => sum + heatAt(at), 0) / times.length;
    return [T0 + begin + end, times.length, expect.closeTo(mean, 9)];
  });
  const found = plant.windows.map(({ ts, values, body }) => [
    ts,
    (body as WindowBody).counts['heat'],
    values['heat:mean'],
  ]);
  expect(found).toEqual(expected);
});

describe('the last window of a machine that stops', () => {
  const warm: RuleDescription = {
    kind: 'feature',
    source: 'window',
    id: 'warm',
    text: 'Warm',
    feature: 'heat:mean',
    direction: 'above',
    limit: 50,
  };

  it('is closed, published and judged, once, also over a restart', async () => {
    await plant.rules.put(TENANT, ruleSchema.parse(warm), { by: 'asha' });
    const first = await plant.start({}, { windowIdleMs: 1000 });
    await plant.read(0, { heat: 60 });
    await plant.read(1000, { heat: 62 });
    await until(() => plant.notices.length === 1);
    expect(plant.notices[0]?.alarm.parts[0]).toMatchObject({ metric: 'heat:mean', value: 61 });
    await first.close();
    await plant.start({}, { windowIdleMs: 1000 });
    await plant.read(60_000, { heat: 10 });
    await until(() => plant.notices.length === 2);
    expect(plant.windows.map(({ revision, values }) => [revision, values['heat:mean']])).toEqual([
      [0, 61],
      [0, 10],
    ]);
  });

  it('comes out the same after a crash between its closing and its publishing, and what came since corrects it', async () => {
    let isDown = false;
    // It goes down in the moment in which the state with the closed window is durable.
    const isClosed = (state: Uint8Array) => Buffer.from(state).toString().includes('"closed"');
    const checkpoints = checkpointsThat(plant, async (name, state, version) => {
      if (isDown) throw new PortError('unavailable', 'crashed');
      const saved = await plant.checkpoints.save(name, state, version);
      isDown = isClosed(state);
      return saved;
    });
    const stream = new Proxy(plant.stream, {
      get: (target, property) => {
        const value: unknown = Reflect.get(target, property, target);
        if (typeof value !== 'function') return value;
        return (...given: unknown[]) => {
          if (property === 'publish' && isDown) throw new PortError('unavailable', 'crashed');
          return (value as (...all: unknown[]) => unknown).apply(target, given);
        };
      },
    });
    const first = await plant.start({ checkpoints, stream }, { windowIdleMs: 1000 });
    await plant.read(0, { heat: 60 });
    await until(() => isDown);
    await plant.read(1000, { heat: 62 });
    await first.close();
    expect(plant.windows).toEqual([]);
    await plant.start({}, { windowIdleMs: 1000 });
    await until(() => plant.windows.length === 2);
    expect(plant.windows.map(({ revision, values }) => [revision, values['heat:mean']])).toEqual([
      [0, 60],
      [1, 61],
    ]);
  });
});

/** Readings that cross delays, windows and baselines, so that what is remembered matters. */
const delayed: RuleDescription[] = [
  { ...hot, onDelayMs: 3000, offDelayMs: 2000, deadband: 5 },
  { kind: 'feature', source: 'window', id: 'mean', text: 'Mean', feature: 'heat:mean', direction: 'above', limit: 70 },
];
const HISTORY = Array.from({ length: 300 }, (_unused, i) => 75 + 20 * Math.sin(i / 7));

async function feed(target: Plant, from: number, to: number): Promise<void> {
  for (let at = from; at < to; at += 10) {
    const messages = HISTORY.slice(at, Math.min(at + 10, to)).map((heat, i) =>
      target.message((at + i) * 1000, { heat }),
    );
    await target.stream.publish('metrics', messages);
  }
}

/** The engine has taken all readings up to the newest: its windows, which come from them, have been published. */
async function settled(target: Plant): Promise<void> {
  await until(async () => {
    for (const { stream, group } of ALERT_INPUTS) if ((await target.stream.lag(stream, group)).events > 0) return false;
    return true;
  });
}

const SAVED_FOR_ACKNOWLEDGEMENT_ALONE = { saveEveryMs: 3_600_000 };

describe('alert engine after a crash', () => {
  let expected: { readonly history: string[]; readonly windows: string[] };
  beforeAll(async () => {
    const whole = await openPlant(...delayed);
    await whole.start();
    await feed(whole, 0, HISTORY.length);
    await settled(whole);
    expected = { history: await whole.history(), windows: windowsOf(whole) };
    expect(expected.history.length).toBeGreaterThan(10);
  });
  const windowsOf = (of: Plant) => [...new Map(of.windows.map((each) => [each.id, JSON.stringify(each)])).values()];

  it.each([
    ['the state of a moment before', 60],
    ['no state at all', 0],
  ])('goes on from %s as if nothing had happened', async (_what, savedUpTo) => {
    const crashing = await openPlant(...delayed);
    let mayStillSave = true;
    // A crash saves nothing: what this engine would save at its end does not reach the store.
    const checkpoints = checkpointsThat(crashing, async (...given) => {
      if (mayStillSave) return crashing.checkpoints.save(...given);
      throw new PortError('unavailable', 'crashed');
    });
    const first = await crashing.start({ checkpoints });
    await feed(crashing, 0, savedUpTo);
    await settled(crashing);
    // Two passes: one may have begun before the last reading.
    const saves = async () => (await crashing.checkpoints.load('alert-engine/manifest'))?.version ?? 0;
    const before = await saves();
    await until(async () => (await saves()) >= before + 2);
    mayStillSave = false;
    await feed(crashing, savedUpTo, 200);
    await settled(crashing);
    await first.close();
    await crashing.start();
    await feed(crashing, 200, HISTORY.length);
    await settled(crashing);
    expect(await crashing.history()).toEqual(expected.history);
    expect(windowsOf(crashing)).toEqual(expected.windows);
  });

  it('goes on from what it acknowledged, where the tail of its streams cannot be read', async () => {
    const crashing = await openPlant(...delayed);
    let mayStillSave = true;
    let refused = 0;
    const checkpoints = checkpointsThat(crashing, async (...given) => {
      if (mayStillSave) return crashing.checkpoints.save(...given);
      refused++;
      throw new PortError('unavailable', 'crashed');
    });
    const stream = tailless(crashing);
    const first = await crashing.start({ checkpoints, stream }, SAVED_FOR_ACKNOWLEDGEMENT_ALONE);
    await feed(crashing, 0, 100);
    await settled(crashing);
    mayStillSave = false;
    await feed(crashing, 100, 200);
    await until(() => refused > 0);
    await first.close();
    expect((await crashing.stream.lag('metrics', 'compute')).events).toBe(100);
    await crashing.start({ stream });
    await feed(crashing, 200, HISTORY.length);
    await settled(crashing);
    expect(await crashing.history()).toEqual(expected.history);
    expect(windowsOf(crashing)).toEqual(expected.windows);
  });
});

describe('alert engine on streams whose tail cannot be read', () => {
  it('acknowledges nothing while a letter of another input cannot be kept, so that a crash forgets nothing', async () => {
    plant.storeProblem = new PortError('unavailable', 'the store is away');
    const stream = tailless(plant);
    const first = await plant.start({ stream }, SAVED_FOR_ACKNOWLEDGEMENT_ALONE);
    await plant.poison('features', 'features');
    await until(async () => (await first.readiness['alert-engine']?.())?.includes('the store is away'));
    await plant.read(0, { heat: 81 });
    await until(() => plant.notices.length === 1);
    await first.close();
    expect((await plant.stream.lag('metrics', 'compute')).events).toBe(1);
    plant.storeProblem = undefined;
    await plant.start({ stream }, SAVED_FOR_ACKNOWLEDGEMENT_ALONE);
    await settled(plant);
    await plant.read(120_000, { heat: 20 });
    await until(() => plant.windows.length === 1);
    expect(plant.windows[0]?.values).toMatchObject({ 'heat:mean': 81 });
    expect(await plant.letters()).toHaveLength(1);
    expect((await plant.history()).filter((each) => each.startsWith('activate'))).toHaveLength(1);
  });

  it('goes on without a restart when the letters that all inputs have can be kept', async () => {
    plant.storeProblem = new PortError('unavailable', 'the store is away');
    const metrics = new Registry();
    await plant.start({ metrics, stream: tailless(plant) }, SAVED_FOR_ACKNOWLEDGEMENT_ALONE);
    await plant.poison('metrics', 'telemetry');
    await plant.poison('features', 'features');
    await plant.poison('inference-results', 'prediction');
    await until(async () =>
      (await metrics.metrics()).includes('tribo_alert_dropped_total{reason="undecodable_payload"} 3'),
    );
    plant.storeProblem = undefined;
    await settled(plant);
    expect(await plant.letters()).toHaveLength(3);
  });

  it('acknowledges again after the answers to saves were lost', async () => {
    const lost = new Set<string>();
    let areLost = false;
    const checkpoints = checkpointsThat(plant, async (name, ...given) => {
      const saved = await plant.checkpoints.save(name, ...given);
      if (!areLost || lost.has(name)) return saved;
      lost.add(name);
      throw new PortError('deadline_exceeded', 'the answer was lost');
    });
    const engine = await plant.start({ checkpoints, stream: tailless(plant) }, SAVED_FOR_ACKNOWLEDGEMENT_ALONE);
    areLost = true;
    await plant.read(0, { heat: 81 });
    await settled(plant);
    expect([...lost].sort()).toEqual(['alert-engine/1/0', 'alert-engine/manifest']);
    await until(() => engine.readiness['alert-engine']?.() === undefined);
  });
});

/** A checkpoint store whose saving is another. */
function checkpointsThat(target: Plant, save: SqliteCheckpointStore['save']): SqliteCheckpointStore {
  return new Proxy(target.checkpoints, {
    get: (store, property) => (property === 'save' ? save : boundMember(store, property)),
  });
}

function tailless(target: Plant): LmdbEventStream {
  return new Proxy<LmdbEventStream>(target.stream, {
    has: (stream, property) => property !== 'readTail' && Reflect.has(stream, property),
    get: boundMember,
  });
}

function boundMember(target: object, property: PropertyKey): unknown {
  const value: unknown = Reflect.get(target, property, target);
  return typeof value === 'function' ? (value.bind(target) as unknown) : value;
}
