import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { acknowledgeInto } from '#core/contracts/acknowledge-into.ts';
import { sampleEvent } from '#core/contracts/sample-event.ts';
import { until } from '#core/contracts/until.ts';
import type { MachineEvent, StampedEvent } from '#core/domain/event.ts';
import type { MachineKey, TenantId } from '#core/domain/ids.ts';
import type { AcceptedOptions, EventStream } from '#core/ports/event-stream.ts';
import { expectCountsGoOn } from '#test/peers/earlier-publisher.ts';
import { EventHubsSite } from '#test/peers/event-hubs-site.ts';
import { TcpFaults } from '#test/peers/tcp-faults.ts';
import { checkpointsInFolder } from '#test/support/checkpoints-in-folder.ts';
import { eventHubsEventStreamConfigSchema, type EventHubsEventStreamConfig } from './config.ts';
import { EventHubsEventStream } from './event-hubs-event-stream.ts';
import { openLeaseBlobs } from './lease-blobs.ts';
import { PartitionLeases, type PartitionLease } from './partition-leases.ts';

const GROUP = 'store';
let site: EventHubsSite;
let checkpoints: Awaited<ReturnType<typeof checkpointsInFolder>>;

beforeAll(async () => {
  site = await EventHubsSite.start();
  checkpoints = await checkpointsInFolder();
}, 300_000);

afterEach(async () => {
  await site.hubs.listen();
  site.hubs.sendFault = undefined;
  site.hubs.refusesTokens = false;
});

afterAll(async () => {
  await checkpoints[Symbol.asyncDispose]();
  await site[Symbol.asyncDispose]();
});

/** A hub, and the group declared on it. */
class Bench implements AsyncDisposable {
  readonly config: EventHubsEventStreamConfig;
  readonly hub: string;
  readonly failures: unknown[] = [];
  readonly #streams: EventHubsEventStream[] = [];

  static async open(partitions: number, over: Partial<EventHubsEventStreamConfig> = {}): Promise<Bench> {
    const bench = new Bench(partitions, over);
    await (await bench.client()).declareGroup('metrics', GROUP);
    return bench;
  }

  constructor(partitions: number, over: Partial<EventHubsEventStreamConfig> = {}) {
    const settings = site.settings(partitions, [GROUP]);
    this.hub = settings.streams.metrics;
    this.config = eventHubsEventStreamConfigSchema.parse({ ...settings, ...over });
  }

  async client(): Promise<EventHubsEventStream> {
    const stream = await EventHubsEventStream.open(this.config, {
      checkpoints: checkpoints.store,
      onFailure: (error) => this.failures.push(error),
    });
    this.#streams.push(stream);
    return stream;
  }

  async leases(): Promise<PartitionLeases> {
    return new PartitionLeases(await openLeaseBlobs(this.config), this.hub, GROUP);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#streams.map((stream) => stream.close()));
    site.hubs.deleteHub(this.hub);
  }
}

describe('publishing', () => {
  it('loses nothing and lets nothing overtake while part of the batches is refused as too many', async () => {
    await using bench = await Bench.open(4);
    const stream = await bench.client();
    const received = await collect(stream);
    let batches = 0;
    site.hubs.sendFault = () => (++batches % 3 === 0 ? { refuse: 'com.microsoft:server-busy' } : undefined);
    const published = eventsOf(0, 400, 20);
    const byMachine = [...Map.groupBy(published, ({ key }) => key).values()];
    await Promise.all(byMachine.map((own) => publishAll(stream, own, 4)));
    await until(() => unique(received) === published.length, 'all events');
    expectOrder(received, published);
    expectDense(received);
    expect(received).toHaveLength(published.length);
    expect(await stream.acceptedItems('metrics')).toEqual(new Map([['north', published.length]]));
  });

  it('keeps its epoch however often it is throttled, and the account of it stays small', async () => {
    await using bench = await Bench.open(1);
    const stream = await bench.client();
    const received = await collect(stream);
    let batches = 0;
    site.hubs.sendFault = () => (++batches % 3 > 0 ? { refuse: 'com.microsoft:server-busy' } : undefined);
    const published = eventsOf(0, 30, 3);
    const failures: unknown[] = [];
    await publishAll(stream, published, 1, (error) => failures.push(error));
    await until(() => unique(received) === published.length, 'all events');
    expect(failures).toHaveLength(60);
    expect(received.map(({ seq }) => seq)).toEqual(published.map((_, index) => index + 1));
    expect(epochsOf(received)).toBe(1);
    expect(await stream.acceptedItems('metrics')).toEqual(new Map([['north', published.length]]));
    await stream.close();
    const account = await checkpoints.store.load(`stream-accounts/event-hubs/${bench.hub}/published`);
    const { parts } = JSON.parse(new TextDecoder().decode(account!.state)) as { readonly parts: object };
    expect(Object.values(parts)).toEqual([{ north: published.length }]);
  });

  it.each([{ refuse: 'amqp:internal-error' }, 'stored and detached'] as const)(
    'opens an epoch after a batch of which nobody knows whether it is stored (%j)',
    async (fault) => {
      await using bench = await Bench.open(1);
      const stream = await bench.client();
      const received = await collect(stream);
      await publishAll(stream, eventsOf(0, 1, 1), 1);
      site.hubs.sendFault = () => {
        site.hubs.sendFault = undefined;
        return fault;
      };
      await publishAll(stream, eventsOf(1, 2, 1), 1);
      await until(() => unique(received) === 3, 'all events');
      // Of what was stored without an answer the number is that of no other event.
      expect(received).toHaveLength(fault === 'stored and detached' ? 4 : 3);
      expectDense(received);
      expect(epochsOf(received)).toBe(2);
    },
  );

  it('fails what waits behind a refused batch with it', async () => {
    await using bench = await Bench.open(1);
    const stream = await bench.client();
    const received = await collect(stream);
    await stream.publish('metrics', eventsOf(0, 1, 1));
    site.hubs.sendFault = () => {
      site.hubs.sendFault = undefined;
      return { refuse: 'com.microsoft:server-busy' };
    };
    const outcomes = await Promise.allSettled([1, 2, 3].map((from) => stream.publish('metrics', eventsOf(from, 1, 1))));
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(outcomes[0]).toMatchObject({ reason: { code: 'resource_exhausted' } });
    await publishAll(stream, eventsOf(1, 3, 1), 1);
    await until(() => received.length === 4, 'all events');
    expect(idsOf(received)).toEqual(['e-0', 'e-1', 'e-2', 'e-3']);
  });

  it.each(['detached', 'answer lost'] as const)(
    'goes on after a batch whose link or connection is gone (%s)',
    async (fault) => {
      await using bench = await Bench.open(2);
      const stream = await bench.client();
      const received = await collect(stream);
      const published = eventsOf(0, 60, 6);
      await publishAll(stream, published.slice(0, 20), 20);
      site.hubs.sendFault = () => {
        site.hubs.sendFault = undefined;
        return fault;
      };
      await publishAll(stream, published.slice(20), 10);
      await until(() => unique(received) === published.length, 'all events');
      expectOrder(received, published);
      expectDense(received);
      // What was stored without an answer came twice, each time with items of its own.
      const accepted = await stream.acceptedItems('metrics', { settled: settledOf(received) });
      expect(accepted.get('north' as TenantId)).toBe(
        site.hubs.eventsOf(bench.hub, 0) + site.hubs.eventsOf(bench.hub, 1),
      );
    },
  );

  it('says who is refused, and which hub or consumer group is not there', async () => {
    const bench = new Bench(1);
    const stream = await bench.client();
    await expect(stream.declareGroup('metrics', 'nobody')).rejects.toMatchObject({
      code: 'failed_precondition',
      message: expect.stringContaining('has no consumer group nobody'),
    });
    await bench[Symbol.asyncDispose]();
    const other = await bench.client();
    await expect(other.publish('metrics', eventsOf(0, 1, 1))).rejects.toMatchObject({ code: 'not_found' });
    await expect(other.declareGroup('metrics', GROUP)).rejects.toMatchObject({ code: 'not_found' });
    await other.close();
    site.hubs.refusesTokens = true;
    const refused = await bench.client();
    await expect(refused.publish('metrics', eventsOf(0, 1, 1))).rejects.toMatchObject({ code: 'permission_denied' });
    await refused.close();
  });
});

describe('consuming', () => {
  it('goes on where it was when the service is away in the middle of a batch, for publisher and consumer', async () => {
    await using bench = await Bench.open(3);
    const [publisher, consumer] = [await bench.client(), await bench.client()];
    const published = eventsOf(0, 120, 9);
    await publishAll(publisher, published.slice(0, 60), 30);
    const received: StampedEvent[] = [];
    const away = Promise.withResolvers<undefined>();
    let batches = 0;
    await consumer.subscribe(
      'metrics',
      GROUP,
      async (batch) => {
        if (++batches === 2) {
          await site.hubs.stop();
          away.resolve(undefined);
        }
        received.push(...batch.events);
        await batch.ack();
      },
      { maxBatchEvents: 10 },
    );
    await away.promise;
    const rest = publishAll(publisher, published.slice(60), 30);
    await until(() => bench.failures.length > 0, 'that it is noticed');
    await site.hubs.listen();
    await rest;
    await until(() => unique(received) === published.length, 'all events');
    expectOrder(received, published);
  });

  it('goes on when its links are detached', async () => {
    await using bench = await Bench.open(2);
    const stream = await bench.client();
    const received = await collect(stream);
    const published = eventsOf(0, 90, 9);
    for (let from = 0; from < published.length; from += 30) {
      await publishAll(stream, published.slice(from, from + 30), 30);
      site.hubs.detachReceivers(bench.hub);
    }
    await until(() => unique(received) === published.length, 'all events');
    expectOrder(received, published);
  });

  it('tells the handler of a partition that another took, and saves nothing that it acknowledges: that comes again in order once the lease of the other has run out', async () => {
    await using bench = await Bench.open(1);
    const leases = await bench.leases();
    const [before] = await leases.ready();
    const { published, acknowledged, deliveries, again } = await consumeWhileTaken(bench, () =>
      until(async () => {
        // The owner renews it, so that a lease may be another by the time that it is taken.
        const [held] = await leases.ready();
        return (await leases.take(held!, 'thief', 5000)) !== undefined;
      }, 'the lease is taken'),
    );
    await acknowledged;
    const [after] = await leases.ready();
    expect(after).toMatchObject({ owner: 'thief', position: before!.position });
    expect(after!.fence).toBeGreaterThan(before!.fence + 1);
    expect(deliveries()).toBe(1);
    await until(() => again.length === published.length, 'all events come again');
    expectOrder(again, published);
    await until(async () => (await leases.ready())[0]!.position > before!.position, 'what came again is saved');
    expect((await leases.ready())[0]!.owner).not.toBe('thief');
    expect(again).toHaveLength(published.length);
  });

  it('tells the handler of a partition that a receiver with a higher owner level reads', async () => {
    await using bench = await Bench.open(1);
    const { EventHubConsumerClient } = await import('@azure/event-hubs');
    const other = new EventHubConsumerClient(GROUP, site.hubs.connectionString, bench.hub);
    const nothing = { processEvents: async () => undefined, processError: async () => undefined };
    const { acknowledged } = await consumeWhileTaken(bench, async () => {
      other.subscribe('0', nothing, { ownerLevel: 1_000, startPosition: { offset: '@latest' } });
    });
    await acknowledged;
    const [after] = await (await bench.leases()).ready();
    expect(after!.position).toBe(-1);
    await other.close();
  });

  it('is shared about evenly by the workers of a group, and goes over to the one that is left', async () => {
    await using bench = await Bench.open(5);
    const [stream, second, leases] = [await bench.client(), await bench.client(), await bench.leases()];
    const received: StampedEvent[] = [];
    const owned = async () => {
      const held = (await leases.ready()).filter(({ owner }) => owner !== undefined);
      return [...Map.groupBy(held, ({ owner }: PartitionLease) => owner).values()].map((own) => own.length).sort();
    };
    const first = await subscribe(stream, received);
    await until(async () => String(await owned()) === '5', 'the first has all');
    await subscribe(second, received);
    await until(async () => String(await owned()) === '2,3', 'both have their share');
    const published = eventsOf(0, 200, 50);
    await publishAll(stream, published.slice(0, 100), 50);
    await first.close();
    await until(async () => String(await owned()) === '5', 'the second has all');
    await publishAll(stream, published.slice(100), 50);
    await until(() => unique(received) === published.length, 'all events');
    expectOrder(received, published);
  });

  it('passes over what somebody else sent, and tells of what the hub no longer had', async () => {
    await using bench = await Bench.open(1);
    const stream = await bench.client();
    await publishAll(stream, eventsOf(0, 10, 1), 10);
    site.hubs.forget(bench.hub, 0, 4);
    const { EventHubProducerClient } = await import('@azure/event-hubs');
    const other = new EventHubProducerClient(site.hubs.connectionString, bench.hub);
    await other.sendBatch([{ body: 'hello' }]);
    await other.close();
    await publishAll(stream, eventsOf(10, 1, 1), 1);
    const received = await collect(stream);
    await until(() => received.length === 7, 'what is left');
    expect(idsOf(received)).toEqual(['e-4', 'e-5', 'e-6', 'e-7', 'e-8', 'e-9', 'e-10']);
    expect(bench.failures).toEqual([
      expect.objectContaining({
        code: 'data_loss',
        message: expect.stringContaining('no longer has the events 0 to 3'),
      }),
      expect.objectContaining({
        code: 'data_loss',
        message: expect.stringContaining('was not written by this version of Tribo'),
      }),
    ]);
    await until(async () => (await stream.lag('metrics', GROUP)).events === 0, 'all is settled');
  });

  it('reads what an earlier version left on a hub, and counts on, each as it was written', async () => {
    await using bench = await Bench.open(1);
    await expectCountsGoOn(await bench.client(), { withKey: true }, ({ key, values, totals }) => {
      const properties = { [totals.name]: totals.value };
      for (const body of values) site.hubs.append(bench.hub, key, { body, properties, annotations: {} });
    });
    expect(bench.failures).toEqual([]);
  });
});

describe('silence of the network', () => {
  const timeoutMs = 2_000;
  let wire: TcpFaults;

  beforeAll(async () => {
    wire = await TcpFaults.start({ port: Number(/:(\d+)/.exec(site.hubs.connectionString)![1]) });
  });

  afterAll(() => wire[Symbol.asyncDispose]());

  const SILENCES: readonly (readonly [when: string, begin: () => Promise<void> | void])[] = [
    ['while all is connected', () => wire.hold()],
    [
      'as connections are made',
      () => {
        wire.hold();
        wire.cut();
      },
    ],
    [
      'as connections are opened',
      () => {
        wire.cut();
        return wire.holdOnceSent('AMQP');
      },
    ],
    [
      'as claims are made',
      () => {
        wire.cut();
        return wire.holdOnceSent('$cbs');
      },
    ],
    [
      'as links are made',
      () => {
        wire.cut();
        return wire.holdOnceSent('Partitions');
      },
    ],
  ];

  it.each(SILENCES)(
    'that begins %s is told by all that waits, and all goes on by itself after it',
    async (_when, begin) => {
      const hubsEmulatorConnectionString = site.hubs.connectionString.replace(/:\d+/, `:${wire.port}`);
      await using bench = await Bench.open(2, { hubsEmulatorConnectionString, timeoutMs });
      const [publisher, consumer] = [await bench.client(), await bench.client()];
      const received = await collect(consumer);
      const published = eventsOf(0, 90, 6);
      await publishAll(publisher, published.slice(0, 30), 10);
      const connections = wire.connections;
      const begun = begin();
      const failures: unknown[] = [];
      const note = (error: unknown): void => void failures.push(error);
      const publishing = publishAll(publisher, published.slice(30), 10, note);
      const measuring = untilRejected(() => consumer.lag('metrics', GROUP));
      await begun;
      const silent = /no answer within|timed out/;
      expect(String(await measuring)).toMatch(silent);
      await until(() => failures.some((each) => silent.test(String(each))), 'the publisher is told');
      await until(() => bench.failures.some((each) => silent.test(String(each))), 'the consumer tells');

      wire.letGo();
      await publishing;
      await until(() => unique(received) === published.length, 'all events');
      expectOrder(received, published);
      await until(() => wire.connections <= connections + 2, 'connections that were given up are gone');
    },
    120_000,
  );
});

describe('connections that end as they are made', () => {
  it('are told as away, and others are made once that is over', async () => {
    await using wire = await TcpFaults.start({ port: Number(/:(\d+)/.exec(site.hubs.connectionString)![1]) });
    const hubsEmulatorConnectionString = site.hubs.connectionString.replace(/:\d+/, `:${wire.port}`);
    await using bench = await Bench.open(2, { hubsEmulatorConnectionString, timeoutMs: 2_000 });
    const stream = await bench.client();
    const received = await collect(stream);
    const published = eventsOf(0, 60, 6);
    await publishAll(stream, published.slice(0, 30), 10);
    wire.down();
    for (let times = 0; times < 5; times++)
      expect(await untilRejected(() => stream.lag('metrics', GROUP))).toMatchObject({
        code: expect.stringMatching(/^(unavailable|deadline_exceeded)$/),
      });
    const publishing = publishAll(stream, published.slice(30), 10);
    wire.up();
    await publishing;
    await until(() => unique(received) === published.length, 'all events');
    expectOrder(received, published);
  }, 120_000);
});

describe('a connection that is lost while a partition is opened over it', () => {
  it('is not waited for: the partition is opened over another', async () => {
    await using wire = await TcpFaults.start({ port: Number(/:(\d+)/.exec(site.hubs.connectionString)![1]) });
    const hubsEmulatorConnectionString = site.hubs.connectionString.replace(/:\d+/, `:${wire.port}`);
    // Whoever waits for the lost answer would be here longer than the test.
    await using bench = await Bench.open(1, { hubsEmulatorConnectionString, timeoutMs: 150_000 });
    const stream = await bench.client();
    const published = eventsOf(0, 60, 6);
    await publishAll(stream, published, 30);
    await stream.lag('metrics', GROUP);
    const held = wire.holdOnceSent('put-token');
    const received = await collect(stream);
    await held;
    wire.cut();
    wire.letGo();
    await until(() => unique(received) === published.length, 'all events');
    expectOrder(received, published);
    expect(bench.failures.map(String)).toContainEqual(expect.stringContaining('the connection is lost'));
  }, 120_000);
});

describe('reading counts', () => {
  it('opens no connection for each, and goes on when the service was away', async () => {
    await using bench = await Bench.open(2);
    const stream = await bench.client();
    await publishAll(stream, eventsOf(0, 20, 4), 20);
    const counts = async () => [
      (await stream.acceptedItems('metrics')).get('north' as TenantId),
      (await stream.lag('metrics', GROUP)).events,
    ];
    const readAgain = async () => {
      const before = site.hubs.connectionsEver;
      for (let reading = 0; reading < 5; reading++) expect(await counts()).toEqual([20, 20]);
      return site.hubs.connectionsEver - before;
    };
    expect(await counts()).toEqual([20, 20]);
    expect(await readAgain()).toBe(0);
    // Two at once have a connection each, which both are kept.
    await Promise.all([counts(), counts()]);
    expect(await readAgain()).toBe(0);

    await site.hubs.stop();
    await expect(counts()).rejects.toMatchObject({ name: 'PortError' });
    await site.hubs.listen();
    await until(async () => (await counts().catch(() => [])).length === 2, 'counts are read again');
    await counts();
    expect(await readAgain()).toBe(0);
  });
});

/** Lets somebody take the partition while a handler is at work, which acknowledges once it is told; and what comes after that, at once. */
async function consumeWhileTaken(bench: Bench, take: () => Promise<void>) {
  const stream = await bench.client();
  const published = eventsOf(0, 6, 2);
  await publishAll(stream, published, 6);
  const again: StampedEvent[] = [];
  const started = Promise.withResolvers<undefined>();
  const acknowledged = Promise.withResolvers<undefined>();
  let deliveries = 0;
  await stream.subscribe(
    'metrics',
    GROUP,
    async (batch, signal) => {
      if (++deliveries > 1) {
        again.push(...batch.events);
        return batch.ack();
      }
      started.resolve(undefined);
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      await batch.ack();
      acknowledged.resolve(undefined);
    },
    { maxBatchEvents: 10 },
  );
  await started.promise;
  await take();
  return { published, acknowledged: acknowledged.promise, deliveries: () => deliveries, again };
}

/** What the group gets from now on. */
async function collect(stream: EventStream): Promise<readonly StampedEvent[]> {
  const received: StampedEvent[] = [];
  await subscribe(stream, received);
  return received;
}

function subscribe(stream: EventStream, received: StampedEvent[]) {
  return stream.subscribe('metrics', GROUP, acknowledgeInto(received), { maxBatchEvents: 10 });
}

/** As a store would say it that has settled all of them. */
function settledOf(received: readonly StampedEvent[]): NonNullable<AcceptedOptions['settled']> {
  const parts = Map.groupBy(received, ({ part }) => part!);
  const counts = [...parts].map(
    ([part, own]) => [part, Math.max(...own.map((event) => event.cumulativeItems))] as const,
  );
  return new Map([['north' as TenantId, new Map(counts)]]);
}

async function untilRejected(call: () => Promise<unknown>): Promise<unknown> {
  let reason: unknown;
  await until(async () => {
    reason = await call().then(
      () => undefined,
      (error: unknown) => error,
    );
    return reason !== undefined;
  }, 'a call is rejected');
  return reason;
}

/** Publishes so many at a time, and what fails again until it is durable, in order. */
async function publishAll(
  stream: EventStream,
  events: readonly MachineEvent[],
  atATime: number,
  onFailure: (error: unknown) => void = () => undefined,
): Promise<void> {
  for (let from = 0; from < events.length; from += atATime) {
    let left = events.slice(from, from + atATime);
    await until(async () => {
      const { failed } = await stream.publish('metrics', left).catch((error: unknown) => {
        onFailure(error);
        return { failed: left.map((_, index) => ({ index })) };
      });
      const again = new Set(failed.map(({ index }) => index));
      left = left.filter((_, index) => again.has(index));
      return left.length === 0;
    }, 'events are durable');
  }
}

function eventsOf(from: number, count: number, machines: number): MachineEvent[] {
  return Array.from({ length: count }, (_, index) =>
    sampleEvent(`e-${from + index}`, { key: `north/akron/m${(from + index) % machines}` as MachineKey }),
  );
}

const idsOf = (events: readonly MachineEvent[]): string[] => events.map(({ eventId }) => eventId);
const unique = (events: readonly MachineEvent[]): number => new Set(idsOf(events)).size;

/** The first time each event came is in the order in which its machine's events were published. */
function expectOrder(received: readonly StampedEvent[], published: readonly MachineEvent[]): void {
  for (const [key, own] of Map.groupBy(received, (event) => event.key))
    expect([...new Set(idsOf(own))]).toEqual(idsOf(published.filter((event) => event.key === key)));
}

const epochsOf = (received: readonly StampedEvent[]): number => new Set(received.map(({ epoch }) => epoch)).size;

function expectDense(received: readonly StampedEvent[]): void {
  for (const own of Map.groupBy(received, ({ source, epoch }) => `${source} ${epoch}`).values())
    expect(own.map(({ seq }) => seq)).toEqual(own.map((_, index) => index + 1));
}
