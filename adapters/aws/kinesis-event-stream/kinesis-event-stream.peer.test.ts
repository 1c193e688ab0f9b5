import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Kinesis } from '@aws-sdk/client-kinesis';
import { DuckDbTimeSeriesStore } from '#adapters/embedded/duckdb-time-series-store/duckdb-time-series-store.ts';
import { systemClock } from '#core/clock.ts';
import {
  eventStreamContract,
  measuredStreamContract,
  type MeasuredStreamHarness,
} from '#core/contracts/event-stream.contract.ts';
import { sampleEvent } from '#core/contracts/sample-event.ts';
import { until } from '#core/contracts/until.ts';
import type { MachineEvent, StampedEvent } from '#core/domain/event.ts';
import type { MachineKey, TenantId } from '#core/domain/ids.ts';
import type { BatchHandler, MeasuredStream } from '#core/ports/event-stream.ts';
import type { TimeSeriesStore } from '#core/ports/time-series-store.ts';
import { settlementOutcomes } from '#core/settlement/outcomes.ts';
import { LedgerReader } from '#services/api-gateway/ledger-reader.ts';
import type { LedgerView } from '#services/api-gateway/schemas/ledger.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { openInFolder } from '#test/support/store-in-folder.ts';
import { HttpFaults } from '#test/peers/http-faults.ts';
import { Kinesalite } from '#test/peers/kinesalite.ts';
import { makeTable } from '#test/peers/moto-table.ts';
import { Moto } from '#test/peers/moto.ts';
import { ownStreamHarness } from '../../own-stream.ts';
import { openDynamoTable } from '../dynamo-table.ts';
import { openKinesis, type KinesisCalls } from './client.ts';
import { kinesisEventStreamConfigSchema, type KinesisEventStreamConfig } from './config.ts';
import { KinesisEventStream } from './kinesis-event-stream.ts';
import { LeaseTable, type ShardLease } from './lease-table.ts';
import { decodeRecord } from './record-codec.ts';

const REGION = 'eu-central-1';
let moto: Moto;
let kinesalite: Kinesalite;
const kinesis = new Map<PeerName, Kinesis>();

type PeerName = 'moto' | 'kinesalite';

beforeAll(async () => {
  [moto, kinesalite] = await Promise.all([Moto.start(), Kinesalite.start()]);
  const { Kinesis } = await import('@aws-sdk/client-kinesis');
  const { NodeHttpHandler } = await import('@smithy/node-http-handler');
  for (const [name, { endpoint }] of Object.entries({ moto, kinesalite }) as [PeerName, Moto | Kinesalite][])
    kinesis.set(name, new Kinesis({ region: REGION, endpoint, requestHandler: new NodeHttpHandler() }));
}, 300_000);

afterAll(async () => {
  for (const each of kinesis.values()) each.destroy();
  await moto[Symbol.asyncDispose]();
  await kinesalite[Symbol.asyncDispose]();
});

interface Harness extends MeasuredStreamHarness, AsyncDisposable {
  readonly name: string;
  readonly kinesis: Kinesis;
  readonly leases: LeaseTable;
  readonly config: KinesisEventStreamConfig;
}

async function makeHarness(
  peer: PeerName,
  shards: number,
  given: Partial<KinesisEventStreamConfig> = {},
): Promise<Harness> {
  const name = `tribo-${randomUUID()}`;
  const sdk = kinesis.get(peer)!;
  await sdk.createStream({ StreamName: name, ShardCount: shards });
  await until(async () => await isActive(sdk, name), 'the stream is there');
  await makeTable(moto, REGION, name);
  const { endpoint } = peer === 'moto' ? moto : kinesalite;
  const config = kinesisEventStreamConfigSchema.parse({
    ...{ region: REGION, endpoint, stateEndpoint: moto.endpoint, streams: { metrics: name }, stateTable: name },
    // So many that each machine of a case has a lane, and with it records, of its own.
    lanes: 499,
    ...{ pollMs: 10, leaseMs: 1500, checkpointIntervalMs: 100, accountEveryMs: 100 },
    // The peers have the limit that was Kinesis's until 2025.
    maxRequestBytes: 5_242_880,
    ...given,
  });
  const faults: Faults = { next: new Set() };
  const table = () => openDynamoTable({ region: REGION, endpoint: moto.endpoint, table: name });
  const ownTable = await table();
  const harness = await ownStreamHarness(
    {
      ...{ settings: config, processes: join(import.meta.dirname, 'processes'), suffix: 'a1' },
      open: async () => {
        const calls = withFaults(await openKinesis(config), faults);
        return new KinesisEventStream(config, { kinesis: calls, table: await table() });
      },
      remove: async () => {
        ownTable.close();
        await sdk.deleteStream({ StreamName: name });
      },
    },
    {
      patienceMs: 60_000,
      failNextPublish: (indexes) => {
        faults.next = new Set(indexes.map((index) => `e-${index}`));
      },
    },
  );
  return { ...harness, name, config, kinesis: sdk, leases: new LeaseTable(ownTable, name, 10_000) };
}

async function isActive(sdk: Kinesis, name: string): Promise<boolean> {
  const { StreamDescriptionSummary } = await sdk.describeStreamSummary({ StreamName: name });
  return StreamDescriptionSummary?.StreamStatus === 'ACTIVE';
}

interface Faults {
  /** Ids of events whose records the next request does not take. */
  next: ReadonlySet<string>;
}

/** Throttles single records as Kinesis does, which moto cannot. */
function withFaults(calls: KinesisCalls, faults: Faults): KinesisCalls {
  return {
    ...calls,
    put: async (stream, records, signal) => {
      const failing = faults.next;
      faults.next = new Set();
      const isFailing = records.map(({ data }) =>
        decodeRecord(data, 'test').some(({ eventId }) => failing.has(eventId)),
      );
      const taken = records.filter((_, index) => !isFailing[index]);
      const results = taken.length > 0 ? [...(await calls.put(stream, taken, signal))] : [];
      return isFailing.map((fails) =>
        fails ? { errorCode: 'ProvisionedThroughputExceededException' } : results.shift()!,
      );
    },
  };
}

describeContract(eventStreamContract, 'Kinesis, one shard (moto)', () => makeHarness('moto', 1));
describeContract(eventStreamContract, 'Kinesis, three shards (kinesalite)', () => makeHarness('kinesalite', 3));
describeContract(measuredStreamContract, 'Kinesis, one shard (moto)', () => makeHarness('moto', 1));
describeContract(measuredStreamContract, 'Kinesis, three shards (kinesalite)', () => makeHarness('kinesalite', 3));

describe('a stream that is split and merged while it is written and read', () => {
  it('is delivered in the order of each machine and each source, by two workers, loses nothing, is stored once, and its ledger is exact all the time', async () => {
    await using harness = await makeHarness('kinesalite', 2, { lanes: 8 });
    await using opened = await openInFolder((directory) => DuckDbTimeSeriesStore.open({ directory }));
    const { stream, leases, kinesis: sdk, name } = harness;
    const received = await settledByTwo(harness, opened.store);
    await using ledger = new WatchedLedger(stream, opened.store);
    const published: MachineEvent[] = [];
    const publishSome = async () => {
      const events = eventsOf(published.length, 60, 20);
      published.push(...events);
      expect(await stream.publish('metrics', events)).toEqual({ failed: [] });
    };
    const change = async (what: () => Promise<unknown>) => {
      await Promise.all([publishSome(), what().then(() => until(() => isActive(sdk, name), 'the change is made'))]);
      await publishSome();
    };
    const third = String(2n ** 126n);
    await publishSome();
    await change(() => sdk.splitShard({ StreamName: name, ShardToSplit: shardName(0), NewStartingHashKey: third }));
    await change(() =>
      sdk.mergeShards({ StreamName: name, ShardToMerge: shardName(3), AdjacentShardToMerge: shardName(1) }),
    );
    await change(() =>
      sdk.mergeShards({ StreamName: name, ShardToMerge: shardName(2), AdjacentShardToMerge: shardName(4) }),
    );
    await until(() => unique(received) === published.length, 'all events');
    expectOrder(received, published);
    await expectStoredOnce(opened.store, ledger, published);
    await until(
      async () => (await leases.list('store')).filter(({ isEnded }) => isEnded).length === 5,
      'five shards end',
    );
    expect((await leases.list('store')).map(({ shard, parents }) => [shard, parents])).toEqual([
      [shardName(0), []],
      [shardName(1), []],
      [shardName(2), [shardName(0)]],
      [shardName(3), [shardName(0)]],
      [shardName(4), [shardName(3), shardName(1)]],
      [shardName(5), [shardName(2), shardName(4)]],
    ]);
  });
});

describe('a stream whose leases somebody takes from their owners again and again', () => {
  it('is delivered in the order of each machine and each source, by two workers, loses nothing, is stored once, and its ledger is exact all the time', async () => {
    await using harness = await makeHarness('moto', 2, { lanes: 8 });
    await using opened = await openInFolder((directory) => DuckDbTimeSeriesStore.open({ directory }));
    const { stream, leases } = harness;
    const received = await settledByTwo(harness, opened.store);
    await using ledger = new WatchedLedger(stream, opened.store);
    const published: MachineEvent[] = [];
    let times = 0;
    while (times < 10) {
      const events = eventsOf(published.length, 60, 20);
      published.push(...events);
      expect(await stream.publish('metrics', events)).toEqual({ failed: [] });
      for (const lease of await leases.list('store')) {
        if (lease.owner === undefined || lease.owner === 'thief') continue;
        if (await leases.take('store', lease, 'thief', 300)) times++;
      }
      await sleep(100);
    }
    await until(() => unique(received) === published.length, 'all events');
    expectOrder(received, published);
    await expectStoredOnce(opened.store, ledger, published);
  });
});

describe('the shards of a group', () => {
  it('are shared by its workers about evenly, and are all of the one that is left', async () => {
    await using harness = await makeHarness('moto', 5);
    const { stream, leases } = harness;
    await stream.declareGroup('metrics', 'store');
    const received: string[] = [];
    const handler: BatchHandler = async (batch) => {
      received.push(...idsOf(batch.events));
      await batch.ack();
    };
    const owners = async () => {
      const held = (await leases.list('store')).filter(({ owner }) => owner !== undefined);
      return [...Map.groupBy(held, ({ owner }) => owner).values()].map((own) => own.length).sort();
    };
    const first = await stream.subscribe('metrics', 'store', handler, { maxBatchEvents: 10 });
    await until(async () => String(await owners()) === '5', 'the first has all');
    await (await harness.reopen()).subscribe('metrics', 'store', handler, { maxBatchEvents: 10 });
    await until(async () => String(await owners()) === '2,3', 'both have their share');
    await first.close();
    await until(async () => String(await owners()) === '5', 'the second has all');
    const events = eventsOf(0, 100, 50);
    await stream.publish('metrics', events);
    await until(() => new Set(received).size === events.length, 'all events');
  });

  it('are lost by a worker whose lease another took: its handler is told, and what it acknowledges is not saved, but comes again in order once that lease has run out', async () => {
    await using harness = await makeHarness('moto', 1);
    const { stream, leases } = harness;
    await stream.declareGroup('metrics', 'store');
    const [before] = await leases.list('store');
    const published = eventsOf(0, 6, 2);
    await stream.publish('metrics', published);
    const again: StampedEvent[] = [];
    const told = Promise.withResolvers<undefined>();
    const started = Promise.withResolvers<undefined>();
    const acknowledged = Promise.withResolvers<undefined>();
    let deliveries = 0;
    await stream.subscribe(
      'metrics',
      'store',
      async (batch, signal) => {
        if (++deliveries > 1) {
          again.push(...batch.events);
          return batch.ack();
        }
        signal.addEventListener('abort', () => told.resolve(undefined));
        started.resolve(undefined);
        await told.promise;
        await batch.ack();
        acknowledged.resolve(undefined);
      },
      { maxBatchEvents: 10 },
    );
    await started.promise;
    let thief: unknown;
    await until(async () => {
      // The owner renews it, so that a lease may be another by the time that it is taken.
      const [held] = await leases.list('store');
      thief = await leases.take('store', held!, 'thief', 3000);
      return thief;
    }, 'the lease is taken');
    await acknowledged.promise;
    const [after] = await leases.list('store');
    expect(after).toMatchObject({ owner: 'thief', position: before!.position });
    expect(deliveries).toBe(1);
    await until(() => again.length === published.length, 'all events come again');
    expectOrder(again, published);
    const numberOf = (lease: ShardLease) => lease.position?.sequenceNumber;
    await until(
      async () => numberOf((await leases.list('store'))[0]!) !== numberOf(after!),
      'what came again is saved',
    );
    await until(async () => (await stream.lag('metrics', 'store')).events === 0, 'all is settled');
    expect(again).toHaveLength(published.length);
  });

  it('have records of others, which are passed over', async () => {
    await using harness = await makeHarness('moto', 1);
    const { stream, kinesis: sdk, name } = harness;
    await stream.declareGroup('metrics', 'store');
    const events = eventsOf(0, 4, 2);
    await stream.publish('metrics', events.slice(0, 2));
    await sdk.putRecord({ StreamName: name, PartitionKey: 'somebody', Data: Buffer.from('hello') });
    await stream.publish('metrics', events.slice(2));
    const received: string[] = [];
    const handler: BatchHandler = async (batch) => {
      received.push(...idsOf(batch.events));
      await batch.ack();
    };
    await stream.subscribe('metrics', 'store', handler, { maxBatchEvents: 10 });
    await until(() => received.length === events.length, 'all events');
    // Past the end of it, too: a worker that comes later has nothing to do.
    await until(async () => (await stream.lag('metrics', 'store')).events === 0, 'all is settled');
  });

  it('are read five times in any second at most, by three groups of which one goes over to another worker', async () => {
    await using harness = await makeHarness('moto', 1);
    await using wire = await HttpFaults.start(moto.endpoint);
    const reads: number[] = [];
    wire.fault = (request, pass) => {
      if (String(request.headers['x-amz-target']).endsWith('.GetRecords')) reads.push(performance.now());
      return pass();
    };
    const { pollMs: _short, ...settings } = harness.config;
    const config = kinesisEventStreamConfigSchema.parse({ ...settings, endpoint: wire.endpoint });
    await using opened = new AsyncDisposableStack();
    const open = async () => {
      const stream = await KinesisEventStream.open(config);
      opened.defer(() => stream.close());
      return stream;
    };
    const received = new Map(['store', 'ml', 'alerts'].map((group) => [group, new Set<string>()]));
    const subscribe = async (stream: KinesisEventStream, group: string) => {
      const own = received.get(group)!;
      const handler: BatchHandler = async (batch) => {
        for (const { eventId } of batch.events) own.add(eventId);
        await batch.ack();
      };
      return stream.subscribe('metrics', group, handler, { maxBatchEvents: 1 });
    };
    const [platform, next] = [await open(), await open()];
    for (const group of received.keys()) await platform.declareGroup('metrics', group);
    const [first] = await Promise.all([...received.keys()].map((group) => subscribe(platform, group)));
    await until(() => reads.length >= 12, 'twelve reads');
    await subscribe(next, 'store');
    await first!.close();
    await harness.stream.publish('metrics', eventsOf(0, 20, 1));
    await until(() => [...received.values()].every(({ size }) => size === 20), 'all events at all groups');
    await until(() => reads.length >= 30, 'thirty reads');
    const inTheSecondFrom = reads.map((from) => reads.filter((at) => at >= from && at < from + 1000).length);
    expect(Math.max(...inTheSecondFrom)).toBeLessThanOrEqual(5);
  });
});

/** Settles what it is given, as the service of the store does. */
function settleInto(store: Pick<TimeSeriesStore, 'settle'>, received: StampedEvent[]): BatchHandler {
  return async (batch) => {
    received.push(...batch.events);
    const outcomes = settlementOutcomes(batch.events);
    await store.settle({ stream: 'metrics', group: 'store', fence: 1, outcomes });
    await batch.ack();
  };
}

/** What two workers of a new group settle from now on. */
async function settledByTwo(harness: Harness, store: Pick<TimeSeriesStore, 'settle'>): Promise<StampedEvent[]> {
  const received: StampedEvent[] = [];
  await harness.stream.declareGroup('metrics', 'store');
  for (const worker of [harness.stream, await harness.reopen()])
    await worker.subscribe('metrics', 'store', settleInto(store, received), { maxBatchEvents: 7 });
  return received;
}

/** The ledger of a store and of the stream that fills it, read again and again. */
class WatchedLedger implements AsyncDisposable {
  readonly wrong: LedgerView[] = [];
  readonly #reader: LedgerReader;
  readonly #loop: Promise<void>;
  #isOver = false;

  constructor(stream: MeasuredStream, store: TimeSeriesStore) {
    this.#reader = new LedgerReader({
      store,
      // The harness has no other stream.
      stream: {
        acceptedItems: async (name, options) => (name === 'metrics' ? stream.acceptedItems(name, options) : new Map()),
      },
      clock: systemClock,
      onProblem: (what, error) => expect([what, error]).toEqual([]),
    });
    this.#loop = this.#watch();
  }

  read(): Promise<LedgerView> {
    return this.#reader.of('north' as TenantId);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#loop;
  }

  async #watch(): Promise<void> {
    while (!this.#isOver) {
      const view = await this.read();
      if (!view.exact) this.wrong.push(view);
      await sleep(20);
    }
  }
}

/** Each event is stored, none twice, and nothing else; the ledger says so, and was never wrong. */
async function expectStoredOnce(
  store: TimeSeriesStore,
  ledger: WatchedLedger,
  published: readonly MachineEvent[],
): Promise<void> {
  await until(async () => (await ledger.read()).pending === 0, 'nothing is pending');
  const stored: string[] = [];
  for (const machine of new Set(published.map(({ key }) => key)))
    stored.push(...(await store.storedEventIds(machine, { fromMs: 0, toMs: Date.now() })));
  expect(stored.sort()).toEqual(idsOf(published).sort());
  expect(await ledger.read()).toMatchObject({
    ...{ exact: true, accepted: published.length, stored: published.length, duplicate: 0 },
    ...{ rejected: 0, deadLettered: 0, pending: 0, lost: 0 },
  });
  expect(ledger.wrong).toEqual([]);
}

/** The first time each event came is in the order of its machine, and of its source, whose numbers are dense. */
function expectOrder(received: readonly StampedEvent[], published: readonly MachineEvent[]): void {
  for (const [key, own] of Map.groupBy(received, (event) => event.key))
    expect([...new Set(idsOf(own))]).toEqual(idsOf(published.filter((event) => event.key === key)));
  for (const own of Map.groupBy(received, ({ source, epoch }) => `${source} ${epoch}`).values())
    expect([...new Set(own.map(({ seq }) => seq))]).toEqual(
      Array.from(new Set(own.map(({ seq }) => seq)), (_, at) => at + 1),
    );
}

/** A reading each. */
function eventsOf(from: number, count: number, machines: number): MachineEvent[] {
  return Array.from({ length: count }, (_, index) => {
    const payload = Buffer.from(JSON.stringify({ ts: 1 + from + index, metrics: { load: index } }));
    const key = `north/akron/m${(from + index) % machines}` as MachineKey;
    return sampleEvent(`e-${from + index}`, { key, payload });
  });
}

const unique = (events: readonly MachineEvent[]): number => new Set(idsOf(events)).size;

const idsOf = (events: readonly MachineEvent[]): string[] => events.map(({ eventId }) => eventId);
const shardName = (shard: number): string => `shardId-${String(shard).padStart(12, '0')}`;
