import { mkdtemp, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Registry } from 'prom-client';
import { DuckDbTimeSeriesStore } from '#adapters/embedded/duckdb-time-series-store/duckdb-time-series-store.ts';
import { FileObjectStore } from '#adapters/embedded/file-object-store/file-object-store.ts';
import { DEFAULT_RETENTION } from '#adapters/embedded/lmdb-event-stream/config.ts';
import { LmdbEventStream } from '#adapters/embedded/lmdb-event-stream/lmdb-event-stream.ts';
import { sqliteMachineRegistryConfigSchema } from '#adapters/embedded/sqlite-machine-registry/config.ts';
import { SqliteMachineRegistry } from '#adapters/embedded/sqlite-machine-registry/sqlite-machine-registry.ts';
import { SqliteCheckpointStore } from '#adapters/embedded/sqlite-checkpoint-store/sqlite-checkpoint-store.ts';
import { systemClock } from '#core/clock.ts';
import { sampleEvent } from '#core/contracts/sample-event.ts';
import type { EventKind, MachineEvent } from '#core/domain/event.ts';
import type { MachineKey, SiteId, TenantId } from '#core/domain/ids.ts';
import { machineSchema } from '#core/domain/plant.ts';
import { NOTHING_SETTLED, type SettledItems } from '#core/domain/ledger.ts';
import type { WaveformReference } from '#core/domain/waveform.ts';
import { PortError } from '#core/errors.ts';
import type { CheckpointStore } from '#core/ports/checkpoint-store.ts';
import type { MeasuredStream } from '#core/ports/event-stream.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { HeldClock } from '#test/support/held-clock.ts';
import { createLogger } from '#services/shared/observability/logger.ts';
import { createMetricsRegistry } from '#services/shared/observability/metrics.ts';
import { startTimeseriesService, type TimeseriesService, type TimeseriesServiceSettings } from './service.ts';

const DAY_MS = 86_400_000;
/** A process that has not stopped by then is ended. */
const ENDED_AFTER_MS = 9_500;
const acme = 'acme' as TenantId;
const press = 'acme/akron/press-7' as MachineKey;
const retention = { rawDays: 7, rollup1mDays: 90, rollup1hDays: 3650, waveformDays: 30 };

/** The parts of one machine's platform that this service works with, all real, in a folder of their own. */
class World implements AsyncDisposable {
  readonly #directory: string;
  readonly stream: LmdbEventStream;
  readonly objects: FileObjectStore;
  readonly clock = new HeldClock(Date.now());
  metrics!: Registry;
  store!: DuckDbTimeSeriesStore;
  checkpoints!: SqliteCheckpointStore;
  machines!: SqliteMachineRegistry;
  /** While set, every settlement fails with it. */
  storeFails: Error | undefined;
  objectsFail: Error | undefined;
  /** Ids of events that no subscription is given, as if a commit of the log had been taken back. */
  readonly lost = new Set<string>();
  readonly #services: TimeseriesService[] = [];
  #events = 0;

  static async open(): Promise<World> {
    const world = new World(await mkdtemp(join(tmpdir(), 'tribo-timeseries-service-')));
    world.checkpoints = await SqliteCheckpointStore.open(
      { databasePath: join(world.#directory, 'state.db') },
      world.clock,
    );
    world.machines = await SqliteMachineRegistry.open(
      sqliteMachineRegistryConfigSchema.parse({ databasePath: join(world.#directory, 'state.db'), changePollMs: 20 }),
    );
    world.store = await DuckDbTimeSeriesStore.open(
      { directory: join(world.#directory, 'store') },
      {
        beforeCommit: () => {
          if (world.storeFails) throw world.storeFails;
        },
      },
    );
    return world;
  }

  private constructor(directory: string) {
    this.#directory = directory;
    this.objects = new FileObjectStore({ directory: join(directory, 'objects') });
    this.stream = new LmdbEventStream({
      directory: join(directory, 'streams'),
      source: 'test',
      streams: DEFAULT_RETENTION,
    });
  }

  async start(
    settings: Partial<TimeseriesServiceSettings> = {},
    { checkpoints, stream }: { readonly checkpoints: CheckpointStore; readonly stream: MeasuredStream } = {
      checkpoints: this.checkpoints,
      stream: this.losing(),
    },
  ): Promise<TimeseriesService> {
    const { store, machines } = this;
    const objects = this.#failing();
    const metrics = createMetricsRegistry('test', { processMetrics: false });
    this.metrics = metrics;
    const logger = createLogger({ service: 'test', level: 'silent' });
    const service = await startTimeseriesService(
      { store, stream, checkpoints, objects, machines, clock: systemClock, logger, metrics },
      { retention, ...settings },
    );
    this.#services.push(service);
    return service;
  }

  #failing(): ObjectStore {
    const { objects } = this;
    return {
      put: (...given) => objects.put(...given),
      get: (...given) => objects.get(...given),
      delete: (...given) => objects.delete(...given),
      list: async (...given) => {
        if (this.objectsFail) throw this.objectsFail;
        return objects.list(...given);
      },
    };
  }

  losing(): MeasuredStream {
    const { stream, lost } = this;
    return {
      publish: (...given) => stream.publish(...given),
      declareGroup: (...given) => stream.declareGroup(...given),
      forgetGroup: (...given) => stream.forgetGroup(...given),
      acceptedItems: (...given) => stream.acceptedItems(...given),
      lag: (...given) => stream.lag(...given),
      close: () => stream.close(),
      subscribe: (name, group, handler, options) =>
        stream.subscribe(
          name,
          group,
          async (batch, signal) => {
            const events = batch.events.filter(({ eventId }) => !lost.has(eventId));
            if (events.length === 0) return batch.ack();
            return handler({ ...batch, events }, signal);
          },
          options,
        ),
    };
  }

  event(kind: EventKind, items: number, payload: unknown, overrides: Partial<MachineEvent> = {}): MachineEvent {
    const encoded = new TextEncoder().encode(JSON.stringify(payload));
    const stated = { kind, key: press, items, acceptedAtMs: Date.now(), payload: encoded };
    return sampleEvent(`event-${++this.#events}`, { ...stated, ...overrides });
  }

  telemetry(count: number): MachineEvent[] {
    return Array.from({ length: count }, (_, i) =>
      this.event('telemetry', 2, { ts: Date.now() + i, metrics: { a: i, b: -i } }),
    );
  }

  waveform(objectKey: string, acceptedAtMs: number): MachineEvent {
    const reference: WaveformReference = {
      waveformId: objectKey,
      sensor: 'de',
      ts: acceptedAtMs,
      sampleRateHz: 1000,
      unit: 'g',
      encoding: 'f32le',
      scale: 1,
      sampleCount: 1,
      objectKey,
      sha256: 'ab',
    };
    return this.event('waveform', 1, reference, { acceptedAtMs });
  }

  async putObject(key: string, ageMs: number): Promise<void> {
    await this.objects.put(key, new Uint8Array([1]));
    const atS = (Date.now() - ageMs) / 1000;
    await utimes(join(this.#directory, 'objects', key), atS, atS);
  }

  async settled(): Promise<SettledItems> {
    return (await this.store.settled()).find(({ tenant }) => tenant === acme)?.settled ?? NOTHING_SETTLED;
  }

  async settlesTo(expected: Partial<SettledItems>): Promise<void> {
    await eventually(async () => {
      expect(await this.settled()).toEqual({ ...NOTHING_SETTLED, ...expected });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const service of this.#services) await service.close();
    await this.stream.close();
    await this.store.close();
    await this.checkpoints.close();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** A copy whose renewals of the lease can be held up, as by a process that is stopped, and whose open subscriptions are counted. */
class Copy {
  readonly checkpoints: CheckpointStore;
  readonly stream: MeasuredStream;
  subscriptions = 0;
  mayRenew: Promise<unknown> = Promise.resolve();

  constructor(world: World) {
    const { checkpoints } = world;
    this.checkpoints = {
      load: (...given) => checkpoints.load(...given),
      save: (...given) => checkpoints.save(...given),
      acquireLease: (...given) => checkpoints.acquireLease(...given),
      releaseLease: (...given) => checkpoints.releaseLease(...given),
      renewLease: async (...given) => {
        await this.mayRenew;
        return checkpoints.renewLease(...given);
      },
    };
    const stream = world.losing();
    this.stream = {
      ...stream,
      subscribe: async (...given) => {
        const subscription = await stream.subscribe(...given);
        this.subscriptions++;
        return {
          close: async () => {
            await subscription.close();
            this.subscriptions--;
          },
        };
      },
    };
  }
}

async function eventually(check: () => Promise<void>, withinMs = 60_000): Promise<void> {
  const untilMs = performance.now() + withinMs;
  while (true) {
    try {
      await check();
      return;
    } catch (error) {
      if (performance.now() > untilMs) throw error;
      await sleep(10);
    }
  }
}

describe('the time-series service', () => {
  let world: World;
  beforeEach(async () => {
    world = await World.open();
  });
  afterEach(() => world[Symbol.asyncDispose]());

  it('settles what the streams carry, each item in one place, and counts it', async () => {
    const service = await world.start();
    await world.stream.publish('metrics', [
      ...world.telemetry(10),
      world.event('duplicate', 3, ''),
      world.event('rejection', 1, [{ code: 'not_finite', pointer: '/metrics/a', detail: 'NaN' }]),
      world.event('telemetry', 4, 'no telemetry'),
    ]);
    await world.stream.publish('raw-waveform', [world.waveform('waveforms/w1', Date.now())]);
    await world.settlesTo({ stored: 21, duplicate: 3, rejected: 1, deadLettered: 4 });
    const { watermarks } = (await world.store.settled())[0]!;
    expect(watermarks).toEqual(
      new Map([
        ['metrics', (await world.stream.acceptedItems('metrics')).get(acme)],
        ['raw-waveform', 1],
      ]),
    );
    expect(await world.metrics.metrics()).toContain('tribo_settled_items_total{outcome="stored",service="test"} 21');
    expect(service.problem()).toBeUndefined();
  });

  it('counts the values of a document whose machine has no room for their series, and keeps the document', async () => {
    await world.start();
    const values = Object.fromEntries(Array.from({ length: 5000 }, (_unused, i) => [`feature_${i}`, i]));
    const ts = Date.now();
    const document = { kind: 'features', id: 'd1', revision: 1, ts, values, body: {} };
    await world.stream.publish('features', [world.event('features', 0, document)]);
    await eventually(async () => {
      const text = await world.metrics.metrics();
      expect(text).toContain('tribo_store_unseried_values_total{service="test"} 5000');
    });
    const query = { machine: press, kind: 'features', fromMs: ts, toMs: ts + 1, limit: 1 } as const;
    expect(await world.store.documents(query)).toMatchObject([{ id: 'd1', values }]);
    expect(await world.store.latest(press)).toEqual([]);
  });

  it('goes on after a restart where it stopped, and settles nothing twice', async () => {
    const first = await world.start();
    await world.stream.publish('metrics', world.telemetry(100));
    await world.settlesTo({ stored: 200 });
    await first.close();
    await world.stream.publish('metrics', world.telemetry(50));
    await world.start();
    await world.settlesTo({ stored: 300 });
    expect(await world.store.progress('metrics', 'store')).toMatchObject([{ source: 'test', seq: 150 }]);
  });

  it('counts the events that a log has lost, and settles the others', async () => {
    const service = await world.start();
    const events = world.telemetry(9);
    for (const { eventId } of events.slice(2, 5)) world.lost.add(eventId);
    for (const event of events) await world.stream.publish('metrics', [event]);
    await world.settlesTo({ stored: 12 });
    expect(await world.store.lostEvents()).toEqual([{ stream: 'metrics', group: 'store', events: 3 }]);
    expect(await world.metrics.metrics()).toContain('tribo_lost_events_total{stream="metrics",service="test"} 3');
    expect(service.problem()).toBeUndefined();
  });

  it('waits while the store refuses, says why, and loses nothing', async () => {
    const service = await world.start();
    world.storeFails = new PortError('resource_exhausted', 'the disk is full');
    await world.stream.publish('metrics', world.telemetry(20));
    await eventually(async () => {
      expect(service.problem()).toBe('cannot settle metrics: the disk is full');
    });
    expect(await world.settled()).toEqual(NOTHING_SETTLED);
    world.storeFails = undefined;
    await world.settlesTo({ stored: 40 });
    expect(service.problem()).toBeUndefined();
  });

  it('settles a message within a second of its publication while the machine is not busy', async () => {
    await world.start();
    const latenciesMs: number[] = [];
    for (let n = 1; n <= 20; n++) {
      const publishedAt = performance.now();
      await world.stream.publish('metrics', world.telemetry(1));
      await world.settlesTo({ stored: 2 * n });
      latenciesMs.push(performance.now() - publishedAt);
    }
    latenciesMs.sort((a, b) => a - b);
    // The median: a machine that stands still for a moment delays some of them, a service that waits delays all.
    expect(latenciesMs[10]).toBeLessThan(1000);
  });

  it('stops within a bound under load, and gives the lease back', async () => {
    const service = await world.start();
    for (let i = 0; i < 20; i++) await world.stream.publish('metrics', world.telemetry(1000));
    const stoppingAt = performance.now();
    await service.close();
    expect(performance.now() - stoppingAt).toBeLessThan(ENDED_AFTER_MS);
    const settledAtStop = (await world.settled()).stored;
    await sleep(100);
    expect((await world.settled()).stored).toBe(settledAtStop);
    expect(await world.checkpoints.acquireLease('time-series-store', 'another', 1000)).toBeDefined();
  });

  it('waits for the lease of a holder that did not give it back', async () => {
    await world.checkpoints.acquireLease('time-series-store', 'killed', 10_000);
    await world.stream.declareGroup('metrics', 'store');
    await world.stream.publish('metrics', world.telemetry(1));
    const service = await world.start();
    await sleep(300);
    expect(service.problem()).toMatch(/^another process holds the lease/);
    expect(await world.settled()).toEqual(NOTHING_SETTLED);
    world.clock.advance(10_001);
    await world.settlesTo({ stored: 2 });
  });

  it('is started and well while another settles, where it stands by, and settles once that one is gone', async () => {
    await world.checkpoints.acquireLease('time-series-store', 'another', 10_000);
    const service = await world.start({ standsBy: true });
    await world.stream.publish('metrics', world.telemetry(1));
    await sleep(300);
    expect(service.problem()).toBeUndefined();
    expect(await world.settled()).toEqual(NOTHING_SETTLED);
    world.clock.advance(10_001);
    await world.settlesTo({ stored: 2 });
  });

  it('that lost its lease to a stand-by lets all go, stands by itself, and takes over when the other is gone', async () => {
    const [first, second] = [new Copy(world), new Copy(world)];
    const settings = { standsBy: true, leaseMs: 300 };
    const settling = await world.start(settings, first);
    const standing = await world.start(settings, second);
    await world.stream.publish('metrics', world.telemetry(1));
    await world.settlesTo({ stored: 2 });
    const all = first.subscriptions;
    expect([all > 0, second.subscriptions]).toEqual([true, 0]);
    const held = Promise.withResolvers<undefined>();
    first.mayRenew = held.promise;
    await eventually(async () => {
      world.clock.advance(301);
      await sleep(250);
      expect(second.subscriptions).toBe(all);
    });
    await world.stream.publish('metrics', world.telemetry(1));
    held.resolve(undefined);
    await eventually(async () => {
      expect(first.subscriptions).toBe(0);
    });
    await world.settlesTo({ stored: 4 });
    expect([settling.problem(), standing.problem()]).toEqual([undefined, undefined]);
    await standing.close();
    await world.stream.publish('metrics', world.telemetry(1));
    await world.settlesTo({ stored: 6 });
    expect([first.subscriptions, second.subscriptions]).toEqual([all, 0]);
  });

  it('puts nothing aside while its fence is refused, and says why', async () => {
    const copy = new Copy(world);
    const service = await world.start({ leaseMs: 300 }, copy);
    await world.stream.publish('metrics', world.telemetry(1));
    await world.settlesTo({ stored: 2 });
    const held = Promise.withResolvers<undefined>();
    copy.mayRenew = held.promise;
    world.clock.advance(301);
    const between = await world.checkpoints.acquireLease('time-series-store', 'another', 60_000);
    await world.store.settle({ stream: 'metrics', group: 'store', fence: between!.fence, outcomes: [] });
    await world.stream.publish('metrics', world.telemetry(20));
    await eventually(async () => {
      expect(service.problem()).toMatch(/^cannot settle metrics: /);
    });
    held.resolve(undefined);
    await eventually(async () => {
      expect(service.problem()).toBe('another process holds the lease of the time-series store; waiting for it');
    });
    await world.checkpoints.releaseLease(between!);
    await world.settlesTo({ stored: 42 });
    expect(service.problem()).toBeUndefined();
  });

  it('stops while it stands by, and takes no lease from then on', async () => {
    const other = await world.checkpoints.acquireLease('time-series-store', 'another', 10_000);
    const service = await world.start({ standsBy: true });
    await service.close();
    await world.checkpoints.releaseLease(other!);
    await sleep(300);
    expect(await world.checkpoints.acquireLease('time-series-store', 'a third', 1000)).toBeDefined();
  });

  it('takes the lease again when it ran out, and settles with a higher fence than the holder between', async () => {
    await world.start({ leaseMs: 300 });
    world.clock.advance(301);
    const between = await world.checkpoints.acquireLease('time-series-store', 'another', 1000);
    await world.store.settle({ stream: 'metrics', group: 'store', fence: between!.fence, outcomes: [] });
    await world.stream.publish('metrics', world.telemetry(1));
    await sleep(300);
    expect(await world.settled()).toEqual(NOTHING_SETTLED);
    world.clock.advance(1001);
    await world.settlesTo({ stored: 2 });
  });

  it('keeps readings without a unit in that of the catalogue at their time, whatever it becomes later', async () => {
    const declare = (unit: string) =>
      world.machines.putMachine(
        acme,
        'akron' as SiteId,
        machineSchema.parse({ id: 'press-7', class: 'press', metrics: [{ name: 't', unit }] }),
      );
    const send = (ts: number, t: number, acceptedAtMs = Date.now()) =>
      world.stream.publish('metrics', [world.event('telemetry', 1, { ts, metrics: { t } }, { acceptedAtMs })]);
    const curve = async (unit?: string) => {
      const { ts, columns, ...more } = await world.store.series({
        machine: press,
        metric: 't',
        ...{ fromMs: 0, toMs: 1000, stepMs: 0, aggregates: [], limit: 1000 },
        ...(unit !== undefined && { unit }),
      });
      return { ...more, points: Array.from(ts, (at, i) => [at, columns['value']![i]]) };
    };
    await world.start();
    await declare('Cel');
    await send(1, 100);
    await world.settlesTo({ stored: 1 });
    expect(await curve()).toMatchObject({ unit: 'Cel', points: [[1, 100]] });
    await declare('[degF]');
    // Until the change is noticed a reading is settled as before; what was accepted about that time is in no unit.
    let ts = 2;
    await eventually(async () => {
      await send(ts++, 212, Date.now() + 20_000);
      expect((await curve()).unit).toBe('[degF]');
    });
    await send(900, 1);
    await send(901, 10, Date.now() - 60_000);
    await eventually(async () => {
      const { leftOut, points } = await curve('Cel');
      expect(leftOut).toEqual([null]);
      expect([points[0], points.at(-1)]).toEqual([[1, 100], [901, 10]]); // prettier-ignore
      expect(points.at(-2)).toEqual([expect.any(Number), expect.closeTo(100, 9)]);
    });
  });

  it('keeps rollups current', async () => {
    await world.start({ maintainEveryMs: 20 });
    await world.stream.publish('metrics', world.telemetry(100));
    await world.settlesTo({ stored: 200 });
    await eventually(async () => {
      const report = await world.store.maintain(Date.now());
      expect(report.rolledUpRows).toBe(0);
    });
    const series = await world.store.series({
      machine: press,
      metric: 'a',
      fromMs: Date.now() - 60_000,
      toMs: Date.now() + 60_000,
      stepMs: 60_000,
      aggregates: ['count'],
      limit: 10,
    });
    expect(series.columns['count']!.reduce((sum, each) => sum + each, 0)).toBe(100);
  });

  it('deletes the objects of waveforms that are no longer kept', async () => {
    await world.putObject('waveforms/old', 0);
    await world.putObject('waveforms/young', 0);
    await world.start({ retentionEveryMs: 50 });
    await world.stream.publish('raw-waveform', [
      world.waveform('waveforms/old', Date.now() - 31 * DAY_MS),
      world.waveform('waveforms/young', Date.now()),
    ]);
    await eventually(async () => {
      expect(await world.objects.get('waveforms/old')).toBeUndefined();
    });
    expect(await world.objects.get('waveforms/young')).toBeDefined();
  });

  it('sweeps again soon after it could not, and not when it is due the next time, and is well from then on', async () => {
    await world.putObject('waveforms/orphan', 10 * DAY_MS);
    world.objectsFail = new PortError('unavailable', 'the bucket does not answer');
    const service = await world.start({ firstAfterMs: 10, againAfterMs: 10 });
    await eventually(async () => {
      expect(service.problem()).toBe('cannot sweep objects: the bucket does not answer');
    });
    world.objectsFail = undefined;
    await eventually(async () => {
      expect(service.problem()).toBeUndefined();
    });
    expect(await world.objects.list({ prefix: 'waveforms/', limit: 1 })).toEqual([]);
  });

  it('sweeps old objects that nothing refers to, and no others', async () => {
    for (const name of ['stored', 'dead', 'orphan']) await world.putObject(`waveforms/${name}`, 9 * DAY_MS);
    await world.putObject('waveforms/not-yet-published', 7 * DAY_MS);
    await world.putObject('models/other', 9 * DAY_MS);
    const first = await world.start();
    await world.stream.publish('raw-waveform', [
      world.waveform('waveforms/stored', Date.now()),
      { ...world.waveform('waveforms/dead', Date.now()), items: 2 },
    ]);
    await world.settlesTo({ stored: 1, deadLettered: 2 });
    await first.close();
    await world.start({ sweepEveryMs: 20 });
    await eventually(async () => {
      expect(await world.objects.get('waveforms/orphan')).toBeUndefined();
    });
    await sleep(100);
    for (const kept of ['waveforms/stored', 'waveforms/dead', 'waveforms/not-yet-published', 'models/other']) {
      expect(await world.objects.get(kept)).toBeDefined();
    }
  });
});
