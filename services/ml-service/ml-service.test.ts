import { describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import type { z } from 'zod';
import { acknowledgeInto } from '#core/contracts/acknowledge-into.ts';
import { until } from '#core/contracts/until.ts';
import { derivedEvent, derivedId } from '#core/derivation/derived-event.ts';
import type { MachineEvent, StampedEvent } from '#core/domain/event.ts';
import { machineKey, type MachineId, type SiteId, type TenantId } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';
import type { FeaturesBody } from '#core/features/featurise.ts';
import { healthDraft, healthModelRef } from '#core/inference/health-model.ts';
import { fitBaseline } from '#core/inference/health-indicator.ts';
import type { PredictionBody } from '#core/inference/prediction.ts';
import type { EventStream } from '#core/ports/event-stream.ts';
import type { MachineHistoryEvent } from '#core/ports/machine-registry.ts';
import type { ModelInference } from '#core/ports/model-inference.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { DerivedDocument } from '#core/ports/time-series-store.ts';
import { openEmbeddedPorts } from '#test/support/embedded-ports.ts';
import { HeldClock } from '#test/support/held-clock.ts';
import { modelWithoutRoom } from '#test/support/model-without-room.ts';
import { mlServiceConfigSchema } from './config.ts';
import { startMlService, type MlServiceDependencies, type RunningMlService } from './ml-service.ts';

const PRESS = machineKey('demo' as TenantId, 'akron' as SiteId, 'press-7' as MachineId);
const PUMP = machineKey('demo' as TenantId, 'akron' as SiteId, 'pump-2' as MachineId);
const NOW_MS = 1_795_222_800_000;
const SENSOR = 'acc';
const BANDS = [
  'band_500_1000_hz_rms_g',
  'band_1000_2500_hz_rms_g',
  'band_2500_5000_hz_rms_g',
  'band_5000_10000_hz_rms_g',
];
const BASELINE = 12;
const SMOOTHING = 5;
const MODEL = healthModelRef(PRESS, SENSOR);

interface Features {
  /** Level over the healthy one. */
  readonly ratio?: number;
  readonly sensor?: string;
  readonly ts?: number;
  readonly body?: Partial<FeaturesBody>;
  readonly without?: string;
  readonly event?: Partial<MachineEvent>;
}

/** The `n`-th features of a machine whose levels repeat within a few per cent. */
function featuresEvent(
  n: number,
  { ratio = 1, sensor = SENSOR, ts, body, without, event }: Features = {},
): MachineEvent {
  const key = event?.key ?? PRESS;
  const level = (band: number) =>
    ratio * (0.1 + 0.02 * band) * Math.exp(0.05 * Math.sin(12.9898 * (n + 1) * (band + 1)));
  const bands = BANDS.filter((name) => name !== without);
  const waveformId = `w${n}`;
  const document: DerivedDocument = {
    kind: 'features',
    id: derivedId('features', 'test', key, [sensor, waveformId]),
    revision: 1,
    ts: ts ?? NOW_MS + 10_000 * n,
    sensor,
    values: Object.fromEntries(bands.map((name, band) => [`${sensor}.${name}`, level(band)])),
    body: { waveformId, operatingState: 'running', ...body },
  };
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  return { ...derivedEvent({ key, acceptedAtMs: NOW_MS + n, traceparent }, 'features', document), ...event };
}

interface Prediction extends DerivedDocument {
  readonly body: PredictionBody;
}

function predictionOf({ payload }: StampedEvent): Prediction {
  return JSON.parse(Buffer.from(payload).toString()) as Prediction;
}

class Plant implements AsyncDisposable {
  readonly deadLetters: { eventId: string; code: string }[] = [];
  /** Everything that was published, in order. */
  readonly received: StampedEvent[] = [];
  readonly parts: Awaited<ReturnType<typeof openParts>>;
  #service: RunningMlService | undefined;

  static async open(): Promise<Plant> {
    const plant = new Plant(await openParts());
    const { stream } = plant.parts;
    await stream.declareGroup('inference-results', 'test');
    await stream.declareGroup('features', 'ml');
    await stream.subscribe('inference-results', 'test', acknowledgeInto(plant.received), { maxBatchEvents: 100 });
    return plant;
  }

  private constructor(parts: Awaited<ReturnType<typeof openParts>>) {
    this.parts = parts;
  }

  async start(
    config: Partial<z.input<typeof mlServiceConfigSchema>> = {},
    parts: Partial<MlServiceDependencies> = {},
  ): Promise<RunningMlService> {
    const indicator = { baselineVectors: BASELINE, smoothing: SMOOTHING };
    this.#service = await startMlService(mlServiceConfigSchema.parse({ indicator, ...config }), {
      ...this.parts,
      deadLetter: async ({ eventId }, { code }) => void this.deadLetters.push({ eventId, code }),
      clock: new HeldClock(NOW_MS),
      logger: pino({ level: 'silent' }),
      metrics: new Registry(),
      ...parts,
    });
    return this.#service;
  }

  async send(...events: readonly MachineEvent[]): Promise<void> {
    await this.parts.stream.publish('features', events);
  }

  /** The first copies of all predictions, once there are `count` of them. */
  async predictions(count: number): Promise<readonly Prediction[]> {
    const distinct = () => new Map(this.received.toReversed().map((event) => [event.eventId, event]));
    await until(() => distinct().size >= count, `${count} predictions`);
    return [...distinct().values()].reverse().map(predictionOf);
  }

  /** Sends features and waits for their predictions. */
  async judge(...events: readonly MachineEvent[]): Promise<readonly Prediction[]> {
    const before = new Set(this.received.map(({ eventId }) => eventId)).size;
    await this.send(...events);
    return (await this.predictions(before + events.length)).slice(before);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#service?.close();
    await this.parts.close();
  }
}

async function openParts() {
  const ports = openEmbeddedPorts();
  return {
    stream: await ports.get('eventStream'),
    objects: await ports.get('objectStore'),
    machines: await ports.get('machineRegistry'),
    registry: await ports.get('modelRegistry'),
    inference: await ports.get('modelInference'),
    checkpoints: await ports.get('checkpointStore'),
    close: () => ports[Symbol.asyncDispose](),
  };
}

/** Features `from` to below `to`. */
function run(from: number, to: number, features: Features = {}): MachineEvent[] {
  return Array.from({ length: to - from }, (_, i) => featuresEvent(from + i, features));
}

const verdictsOf = (predictions: readonly Prediction[]) => predictions.map(({ body }) => body.verdict);
const newest = (predictions: readonly Prediction[]) => predictions.at(-1)!;

describe('ml-service', () => {
  it('learns a baseline, registers and promotes it as a model with its provenance, and judges by it', async () => {
    await using plant = await Plant.open();
    await plant.start();
    const learning = await plant.judge(...run(0, BASELINE));
    expect(new Set(verdictsOf(learning))).toEqual(new Set(['learning']));
    expect(learning[4]?.body.reason).toBe('5 of 12 feature sets learnt');
    expect(learning[4]?.values).toEqual({});

    const version = await plant.parts.registry.getPromoted(MODEL);
    expect(version).toMatchObject({
      version: 1,
      inputs: BANDS,
      parameters: { decision: { threshold: 3, smoothing: SMOOTHING } },
      provenance: { samples: BASELINE, fromMs: NOW_MS, toMs: NOW_MS + 10_000 * (BASELINE - 1) },
    });
    expect(await plant.parts.registry.promotions(MODEL, { limit: 9 })).toMatchObject([
      { by: 'ml-service', kind: 'promote' },
    ]);

    const judged = newest(await plant.judge(...run(BASELINE, BASELINE + SMOOTHING)));
    expect(judged).toMatchObject({
      kind: 'prediction',
      revision: 1,
      sensor: SENSOR,
      units: { 'acc.anomaly_score': '1', 'acc.health': '1' },
      body: {
        verdict: 'healthy',
        model: { name: 'vibration-health', version: 1, sha256: version?.sha256 },
        threshold: 3,
        waveformId: `w${BASELINE + SMOOTHING - 1}`,
        operatingState: 'running',
        window: { fromMs: NOW_MS + 10_000 * BASELINE, toMs: NOW_MS + 10_000 * (BASELINE + SMOOTHING - 1) },
        baseline: { sinceMs: NOW_MS, startedBy: 'first-data' },
      },
    });
    expect(judged.values['acc.anomaly_score']).toBeLessThan(1);
    expect(judged.values['acc.health']).toBeGreaterThan(0.8);
  });

  it('raises the verdict alarm when levels rise and stay, says what deviates, and takes it back when they fall', async () => {
    await using plant = await Plant.open();
    await plant.start();
    await plant.judge(...run(0, 40));
    const ill = await plant.judge(...run(40, 50, { ratio: 3 }));
    expect(verdictsOf(ill)).toEqual([...Array<string>(2).fill('healthy'), ...Array<string>(8).fill('alarm')]);
    const { values, body } = newest(ill);
    expect(values['acc.anomaly_score']).toBeGreaterThan(3);
    expect(values['acc.health']).toBeLessThan(0.5);
    expect(body.contributions?.map(({ feature }) => feature).sort()).toEqual([...BANDS].sort());
    for (const { z, ratio } of body.contributions ?? []) {
      expect(z).toBeGreaterThan(3);
      expect(ratio).toBeGreaterThan(2.4);
      expect(ratio).toBeLessThan(3.6);
    }
    const mended = await plant.judge(...run(50, 60));
    expect(verdictsOf(mended).at(-1)).toBe('healthy');
  });

  it('calls a machine degraded halfway to the threshold', async () => {
    await using plant = await Plant.open();
    await plant.start();
    await plant.judge(...run(0, 20));
    expect(newest(await plant.judge(...run(20, 30, { ratio: 1.7 }))).body.verdict).toBe('degraded');
  });

  it('does not raise one shock, nor anything in a long healthy life', async () => {
    await using plant = await Plant.open();
    await plant.start();
    await plant.judge(...run(0, 30));
    await plant.judge(...run(30, 32, { ratio: 20 }));
    await plant.send(...run(32, 400));
    const all = await plant.predictions(400);
    expect(verdictsOf(all.slice(32))).not.toContain('alarm');
    expect(verdictsOf(all.slice(45))).not.toContain('degraded');
  });

  it('keeps sensors and machines apart, each with a model of its own', async () => {
    await using plant = await Plant.open();
    await plant.start();
    const pump = { event: { key: PUMP } };
    const mixed = run(0, 25).flatMap((event, n) => [
      event,
      featuresEvent(n, { sensor: 'acc-2', ratio: 5 }),
      featuresEvent(n, { ...pump, ratio: n < 20 ? 1 : 4 }),
    ]);
    await plant.judge(...mixed);
    const byOwner = (key: string, sensor: string) =>
      plant.received
        .filter((event) => event.key === key)
        .map(predictionOf)
        .filter((each) => each.sensor === sensor);
    expect(newest(byOwner(PRESS, SENSOR)).body.verdict).toBe('healthy');
    expect(newest(byOwner(PRESS, 'acc-2')).body.verdict).toBe('healthy');
    expect(newest(byOwner(PUMP, SENSOR)).body.verdict).toBe('alarm');
    const models = await plant.parts.registry.listModels({ tenant: 'demo' as TenantId, limit: 10 });
    expect(models.map(({ model }) => `${model.machine ?? ''} ${model.sensor ?? ''}`)).toEqual([
      `${PRESS} acc`,
      `${PRESS} acc-2`,
      `${PUMP} acc`,
    ]);
  });

  it('hands on when the edge accepted it, its trace, and that it was imported', async () => {
    await using plant = await Plant.open();
    await plant.start();
    const origin = featuresEvent(0, { event: { imported: true } });
    await plant.judge(origin);
    const { acceptedAtMs, traceparent } = origin;
    expect(plant.received[0]).toMatchObject({
      kind: 'prediction',
      key: PRESS,
      items: 0,
      acceptedAtMs,
      imported: true,
      traceparent,
    });
  });

  it.each(['stopped', 'maintenance'] as const)(
    'neither learns from nor judges a machine that is %s',
    async (operatingState) => {
      await using plant = await Plant.open();
      await plant.start();
      await plant.send(...run(0, 30, { ratio: 9, body: { operatingState } }));
      const [first] = await plant.judge(featuresEvent(30));
      expect(first?.body.reason).toBe('1 of 12 feature sets learnt');
    },
  );

  it('passes over features that come after newer ones', async () => {
    await using plant = await Plant.open();
    await plant.start();
    await plant.judge(...run(0, 3));
    await plant.send(featuresEvent(99, { ts: NOW_MS + 5000 }));
    const [next] = await plant.judge(featuresEvent(3));
    expect(next?.body.reason).toBe('4 of 12 feature sets learnt');
  });

  it.each([
    ['while it learns', 2],
    ['while it watches', 20],
  ])('says that features lack a band, %s, rather than judging them', async (_when, before) => {
    await using plant = await Plant.open();
    await plant.start();
    await plant.judge(...run(0, before));
    const [odd] = await plant.judge(featuresEvent(before, { without: BANDS[1]!, ratio: 9 }));
    expect(odd?.body).toMatchObject({ verdict: 'unknown', reason: expect.stringContaining(BANDS[1]!) });
    expect(odd?.values).toEqual({});
    expect(newest(await plant.judge(featuresEvent(before + 1))).body.verdict).not.toBe('unknown');
  });

  it('dead-letters an event that carries no features, and goes on', async () => {
    await using plant = await Plant.open();
    await plant.start();
    await plant.send(featuresEvent(0, { event: { eventId: 'poison', payload: Buffer.from('{"kind":') } }));
    await plant.judge(featuresEvent(1));
    expect(plant.deadLetters).toEqual([{ eventId: 'poison', code: 'invalid_argument' }]);
  });

  describe('following the registry', () => {
    async function registerDeaf(plant: Plant): Promise<number> {
      const parameters = { baselineVectors: 3, threshold: 90, significantRatio: 2, smoothing: SMOOTHING, clearAt: 0.8 };
      const deaf = fitBaseline(
        BANDS,
        [
          [0, 0, 0, 0],
          [0, 0, 0, 0],
          [0, 0, 0, 0],
        ],
        parameters,
      );
      const training = { machine: PRESS, sensor: SENSOR, fromMs: 0, toMs: 0, featuresSoftware: 'test' };
      return (await plant.parts.registry.register(MODEL, healthDraft(deaf, training))).version;
    }

    it('judges by the promoted version, and by the one before after a rollback, without a restart', async () => {
      await using plant = await Plant.open();
      await plant.start();
      await plant.judge(...run(0, 20));
      expect(newest(await plant.judge(...run(20, 25, { ratio: 4 }))).body.verdict).toBe('alarm');
      const decision = { by: 'ada', reason: 'too sensitive' };
      await plant.parts.registry.promote(MODEL, await registerDeaf(plant), decision);
      const deaf = newest(await plant.judge(...run(25, 35, { ratio: 4 })));
      expect(deaf.body).toMatchObject({ verdict: 'healthy', model: { version: 2 }, threshold: 90 });
      await plant.parts.registry.rollback(MODEL, decision);
      const before = newest(await plant.judge(...run(35, 45, { ratio: 4 })));
      expect(before.body).toMatchObject({ verdict: 'alarm', model: { version: 1 } });
    });

    it('leaves promotion to people where it is told so', async () => {
      await using plant = await Plant.open();
      await plant.start({ promotion: 'manual' });
      const waiting = newest(await plant.judge(...run(0, 20)));
      expect(waiting.body).toMatchObject({ verdict: 'learning', reason: 'the model waits to be promoted' });
      expect(await plant.parts.registry.getPromoted(MODEL)).toBeUndefined();
      await plant.parts.registry.promote(MODEL, 1, { by: 'ada', reason: 'looks right' });
      expect(newest(await plant.judge(...run(20, 30))).body).toMatchObject({
        verdict: 'healthy',
        model: { version: 1 },
      });
    });

    it('does not judge a new bearing by the old one’s model while the new one waits for promotion', async () => {
      await using plant = await Plant.open();
      await plant.start({ promotion: 'manual' });
      await plant.judge(...run(0, 20));
      await plant.parts.registry.promote(MODEL, 1, { by: 'ada', reason: 'looks right' });
      await plant.judge(...run(20, 25));
      await plant.parts.machines.addMachineEvent(bearingChange(25));
      const waiting = newest(await plant.judge(...run(25, 50, { ratio: 4 })));
      expect(waiting.body).toMatchObject({ verdict: 'learning', reason: 'the model waits to be promoted' });
      await plant.parts.registry.promote(MODEL, 2, { by: 'ada', reason: 'new bearing' });
      const judged = newest(await plant.judge(...run(50, 60, { ratio: 4 })));
      expect(judged.body).toMatchObject({ verdict: 'healthy', model: { version: 2 } });
    });

    it.each([
      ['gone', (objects: ObjectStore, key: string) => objects.delete(key)],
      ['corrupt', (objects: ObjectStore, key: string) => objects.put(key, Buffer.from('damaged'))],
    ] as const)('is not ready while the promoted artifact is %s, and recovers', async (_what, damage) => {
      await using plant = await Plant.open();
      const first = await plant.start();
      await plant.judge(...run(0, 20));
      await first.close();
      const [object] = await plant.parts.objects.list({ prefix: 'models/', limit: 1 });
      const bytes = await plant.parts.objects.get(object!.key);
      await damage(plant.parts.objects, object!.key);

      const { readiness } = await plant.start();
      await plant.send(featuresEvent(20));
      await until(() => plant.deadLetters.length > 0, 'a dead letter');
      expect(plant.deadLetters).toMatchObject([{ code: 'failed_precondition' }]);
      const reason = await readiness['models']?.();
      expect(reason).toMatch(/vibration-health.*version 1 cannot run: the artifact .*; roll back, or promote/);

      await plant.parts.objects.put(object!.key, bytes!);
      expect(await readiness['models']?.()).toBeUndefined();
      expect(newest(await plant.judge(...run(21, 30))).body.verdict).toBe('healthy');
    });

    it('is not ready while a version that is no health model is promoted, until it is rolled back', async () => {
      await using plant = await Plant.open();
      const { readiness } = await plant.start();
      await plant.judge(...run(0, 20));
      const { artifact, ...draft } = healthDraft(
        fitBaseline(
          ['a', 'b'],
          [
            [0, 0],
            [0, 0],
            [0, 0],
          ],
          mlServiceConfigSchema.parse({}).indicator,
        ),
        { machine: PRESS, sensor: SENSOR, fromMs: 0, toMs: 0, featuresSoftware: 'test' },
      );
      await plant.parts.registry.register(MODEL, { ...draft, artifact, inputs: ['a'] });
      await plant.parts.registry.promote(MODEL, 2, { by: 'ada', reason: 'a mistake' });
      await plant.send(featuresEvent(20));
      await until(() => plant.deadLetters.length > 0, 'a dead letter');
      expect(await readiness['models']?.()).toContain('version 2 cannot run: it takes 2 inputs, 1 are named');
      await plant.parts.registry.rollback(MODEL, { by: 'ada', reason: 'undo' });
      expect(await readiness['models']?.()).toBeUndefined();
      expect(newest(await plant.judge(...run(21, 30))).body.verdict).toBe('healthy');
    });

    it.each([
      ['to load', /vibration-health.*version 2 cannot run: .* no memory to load this model 3 times.*; roll back/],
      ['to run', undefined],
    ] as const)(
      'judges other machines while the runtime never has memory %s a promoted version',
      async (when, told) => {
        await using plant = await Plant.open();
        const { readiness } = await plant.start();
        const other = { event: { key: PUMP } };
        await plant.judge(...run(0, 20), ...run(0, 20, other));
        const version = await plant.parts.registry.getPromoted(MODEL);
        const { parameters, provenance, format } = version!;
        const wide = { artifact: modelWithoutRoom(when), inputs: BANDS.slice(0, 2), parameters, provenance, format };
        await plant.parts.registry.register(MODEL, wide);
        await plant.parts.registry.promote(MODEL, 2, { by: 'ada', reason: 'a mistake' });
        const refused = featuresEvent(20);
        const before = plant.received.length;
        await plant.send(refused, featuresEvent(20, other));
        const theirs = () => plant.received.slice(before).map(({ key }) => key);
        await until(() => theirs().includes(PUMP) && plant.deadLetters.length > 0, 'both settled');
        expect(theirs()).toEqual([PUMP]);
        expect(plant.deadLetters).toMatchObject([{ code: 'failed_precondition' }]);
        expect(await readiness['judging']?.()).toBeUndefined();
        if (told) expect(await readiness['models']?.()).toMatch(told);
        await plant.parts.registry.rollback(MODEL, { by: 'ada', reason: 'undo' });
        expect(newest(await plant.judge(...run(21, 30))).body.verdict).toBe('healthy');
      },
    );
  });

  describe('after something was done to the machine', () => {
    it('learns the new bearing from its own beginning, as a new version', async () => {
      await using plant = await Plant.open();
      await plant.start();
      await plant.judge(...run(0, 20));
      expect(newest(await plant.judge(...run(20, 30, { ratio: 4 }))).body.verdict).toBe('alarm');
      await plant.parts.machines.addMachineEvent(bearingChange(30));
      const [first] = await plant.judge(featuresEvent(30, { ratio: 2 }));
      expect(first?.body).toMatchObject({
        verdict: 'learning',
        reason: '1 of 12 feature sets learnt',
        baseline: { sinceMs: NOW_MS + 300_000, startedBy: 'bearing-change' },
      });
      const judged = newest(await plant.judge(...run(31, 60, { ratio: 2 })));
      expect(judged.body).toMatchObject({ verdict: 'healthy', model: { version: 2 } });
    });

    it('neither learns from nor judges what was sent during maintenance that was noted', async () => {
      await using plant = await Plant.open();
      await plant.start();
      await plant.parts.machines.addMachineEvent({ ...bearingChange(5), id: 's', kind: 'maintenance-start' });
      await plant.parts.machines.addMachineEvent({ ...bearingChange(10), id: 'e', kind: 'maintenance-end' });
      await plant.judge(...run(0, 5));
      await plant.send(...run(5, 10, { ratio: 100 }));
      const judged = await plant.judge(...run(10, 25));
      expect(judged).toHaveLength(15);
      expect(newest(judged).body).toMatchObject({ verdict: 'healthy', model: { version: 1 } });
    });

    it('goes on with its baseline after a note, and after a change that lies ahead', async () => {
      await using plant = await Plant.open();
      await plant.start();
      await plant.parts.machines.addMachineEvent({ ...bearingChange(0), id: 'n', kind: 'note' });
      await plant.parts.machines.addMachineEvent(bearingChange(999));
      expect(newest(await plant.judge(...run(0, 20))).body).toMatchObject({
        verdict: 'healthy',
        model: { version: 1 },
      });
    });
  });

  describe('across restarts and failures', () => {
    const LIFE = [...run(0, 25), ...run(25, 40, { ratio: 3 }), ...run(40, 50)];
    /** What an undisturbed service publishes of {@link LIFE}: eventId and payload. */
    async function undisturbed(): Promise<readonly string[]> {
      await using plant = await Plant.open();
      await plant.start();
      await plant.send(...LIFE);
      await plant.predictions(LIFE.length);
      return contentsOf(plant);
    }

    const contentsOf = (plant: Plant) => [
      ...new Set(plant.received.map(({ eventId, payload }) => `${eventId} ${Buffer.from(payload).toString()}`)),
    ];

    it('publishes the same predictions when it is restarted every few waveforms', async () => {
      await using plant = await Plant.open();
      for (let i = 0; i < LIFE.length; i += 7) {
        const service = await plant.start();
        await plant.judge(...LIFE.slice(i, i + 7));
        await service.close();
      }
      expect(contentsOf(plant)).toEqual(await undisturbed());
    });

    it('publishes what was saved but not yet published by a service that died in between', async () => {
      await using plant = await Plant.open();
      let isDead = false;
      const dying: EventStream = {
        publish: async (name, events, options) => {
          if (isDead) throw new PortError('unavailable', 'died before publishing');
          return plant.parts.stream.publish(name, events, options);
        },
        declareGroup: (name, group) => plant.parts.stream.declareGroup(name, group),
        forgetGroup: (name, group) => plant.parts.stream.forgetGroup(name, group),
        subscribe: (...given) => plant.parts.stream.subscribe(...given),
        close: () => plant.parts.stream.close(),
      };
      const first = await plant.start({}, { stream: dying });
      await plant.judge(...LIFE.slice(0, 20));
      isDead = true;
      await plant.send(...LIFE.slice(20, 30));
      const reason = () => first.readiness['judging']?.() !== undefined;
      await until(reason, 'a failed publish');
      await first.close();
      expect(plant.received).toHaveLength(20);
      await plant.start();
      await plant.send(...LIFE.slice(30));
      await plant.predictions(LIFE.length);
      expect(contentsOf(plant)).toEqual(await undisturbed());
    });

    it('waits for a checkpoint store that is away, says so, and loses nothing', async () => {
      await using plant = await Plant.open();
      let isAway = true;
      const checkpoints: MlServiceDependencies['checkpoints'] = {
        load: (name) => plant.parts.checkpoints.load(name),
        save: async (name, state, version) => {
          if (isAway) throw new PortError('unavailable', 'the store is away');
          return plant.parts.checkpoints.save(name, state, version);
        },
      };
      const { readiness } = await plant.start({}, { checkpoints });
      await plant.send(...LIFE);
      await until(() => readiness['judging']?.() === 'the store is away', 'the reason');
      isAway = false;
      await plant.predictions(LIFE.length);
      expect(contentsOf(plant)).toEqual(await undisturbed());
      expect(readiness['judging']?.()).toBeUndefined();
    });

    it('takes up what another process saved of the same machine meanwhile', async () => {
      await using plant = await Plant.open();
      await plant.start();
      await plant.judge(...LIFE.slice(0, 10));
      const name = `ml/health/${PRESS}`;
      const saved = await plant.parts.checkpoints.load(name);
      await plant.parts.checkpoints.save(name, saved!.state, saved!.version);
      await plant.send(...LIFE.slice(10));
      await plant.predictions(LIFE.length);
      expect(contentsOf(plant)).toEqual(await undisturbed());
    });

    it('adds no second model version when it dies between registering and saving', async () => {
      await using plant = await Plant.open();
      let isDead = false;
      const checkpoints: MlServiceDependencies['checkpoints'] = {
        load: (name) => plant.parts.checkpoints.load(name),
        save: async (name, state, version) => {
          if (isDead) throw new PortError('unavailable', 'died before saving');
          return plant.parts.checkpoints.save(name, state, version);
        },
      };
      const first = await plant.start({}, { checkpoints });
      await plant.judge(...LIFE.slice(0, BASELINE - 1));
      isDead = true;
      await plant.send(...LIFE.slice(BASELINE - 1, BASELINE));
      await until(() => first.readiness['judging']?.() !== undefined, 'a failed save');
      await first.close();
      await plant.start();
      await plant.judge(...LIFE.slice(BASELINE, BASELINE + 2));
      expect(await plant.parts.registry.listVersions(MODEL, { limit: 9 })).toHaveLength(1);
    });
  });

  it('is ready once its runtime has scored a golden vector, and says why while it has not', async () => {
    await using plant = await Plant.open();
    const { readiness } = await plant.start();
    await until(() => readiness['runtime']?.() === undefined, 'the runtime');
    const broken = {
      load: () => Promise.reject(new PortError('unavailable', 'no runtime')),
      close: async () => undefined,
    };
    await using other = await Plant.open();
    const unready = await other.start({}, { inference: broken });
    await until(() => unready.readiness['runtime']?.() === 'no runtime', 'the reason');
  });

  it('is ready too where its runtime came later than the service', async () => {
    await using plant = await Plant.open();
    const { inference } = plant.parts;
    let isThere = false;
    const late: ModelInference = {
      load: async (artifact, options) => {
        if (!isThere) throw new PortError('unavailable', 'no model is deployed there');
        return inference.load(artifact, options);
      },
      close: () => inference.close(),
    };
    const { readiness } = await plant.start({}, { inference: late });
    await until(() => readiness['runtime']?.() === 'no model is deployed there', 'the reason');
    isThere = true;
    await until(() => readiness['runtime']?.() === undefined, 'the runtime');
  });
});

function bearingChange(n: number): MachineHistoryEvent {
  const atMs = NOW_MS + 10_000 * n;
  return { id: `change-${n}`, key: PRESS, kind: 'bearing-change', atMs, by: 'ada', text: 'new 6205' };
}
