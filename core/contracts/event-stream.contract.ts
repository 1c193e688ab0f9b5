import assert from 'node:assert/strict';
import { MAX_EVENT_BYTES, type MachineEvent, type StampedEvent, type StreamName } from '../domain/event.ts';
import { machineKey, type MachineId, type SiteId, type TenantId } from '../domain/ids.ts';
import type {
  BatchHandler,
  DeliveryBatch,
  EventStream,
  MeasuredStream,
  Progress,
  ReadableTail,
  Subscription,
} from '../ports/event-stream.ts';
import { observeStream, type DeliveredCount, type PublishedCount } from '../delivery/observed-stream.ts';
import { acknowledgeInto } from './acknowledge-into.ts';
import type { Contract } from './contract.ts';
import { failsWith } from './fails-with.ts';
import { until } from './until.ts';

export interface EventStreamHarness {
  readonly stream: EventStream;
  /** A stream that exists, empty but for what other cases of the provider's run may have left for other groups. */
  readonly streamName: StreamName;
  /** A stream that does not exist. */
  readonly missingStreamName: StreamName;
  /** Makes the case's groups, tenants and events its own. */
  readonly suffix: string;
  /** How long a delivery, a redelivery or a takeover may take before the case fails. */
  readonly patienceMs: number;
  /** Another client of the same streams, as another process would open it. The harness closes it. */
  reopen(): Promise<EventStream>;
  /** Runs a consumer of the group in a process of its own, kills that without notice while its first batch is unsettled, and returns the batch's event ids. */
  killConsumerMidBatch(group: string): Promise<readonly string[]>;
  /** Publishes in a process of its own, kills that without notice once it has, and returns how many of the events are durable. */
  killPublisher(events: readonly MachineEvent[]): Promise<number>;
  /** Makes the items at these indexes of the next publish fail, as a provider's per-item error would. */
  failNextPublish(indexes: readonly number[]): void;
}

/** A harness for streams that also measure. */
export type MeasuredStreamHarness = EventStreamHarness & { readonly stream: MeasuredStream };
/** A harness for streams whose tail can be read. */
export type ReadableTailHarness = EventStreamHarness & { readonly stream: ReadableTail };

/** For a busy machine, and yet far less than the time that an adapter gives a call. */
const SOON_MS = 5000;

export const eventStreamContract: Contract<EventStreamHarness> = {
  port: 'event-stream',
  cases: [
    {
      name: 'delivers an event as it was published, with arbitrary bytes and every optional field',
      async run(harness) {
        const everyByte = Uint8Array.from({ length: 256 }, (_, index) => index);
        const events: MachineEvent[] = [
          { ...newEvent(harness, 'm1', 'bytes'), payload: everyByte },
          { ...newEvent(harness, 'm1', 'empty'), payload: new Uint8Array(0), items: 0, kind: 'duplicate' },
          {
            ...newEvent(harness, 'm1', 'übergröße-轴承'),
            kind: 'waveform',
            verifyStored: true,
            imported: true,
            traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
          },
        ];
        const { received } = await publishAndCollect(harness, events);
        received.forEach((event, index) => {
          const { source, epoch, seq, cumulativeItems, part: _part, payload, ...rest } = event;
          const { payload: publishedPayload, ...published } = events[index]!;
          assert.deepEqual(rest, published);
          assert.deepEqual(Uint8Array.from(payload), Uint8Array.from(publishedPayload));
          assert.ok(source.length > 0 && epoch > 0 && seq > 0 && cumulativeItems >= 0);
        });
      },
    },
    {
      name: 'keeps the order of each machine, also over concurrent publishes of several machines',
      async run(harness) {
        const events = numbered(harness, 300, 7);
        const group = await declareGroup(harness);
        const byMachine = Map.groupBy(events, (event) => event.key);
        await Promise.all(
          [...byMachine.values()].map(async (own) => {
            for (let from = 0; from < own.length; from += 10)
              await publishAll(harness.stream, harness.streamName, own.slice(from, from + 10));
          }),
        );
        const received = await collect(harness, group, events.length);
        assertOrderPerMachine(received, events);
      },
    },
    {
      name: 'gives every event of a publisher a seq of its own, dense and rising from 1',
      async run(harness) {
        const { received } = await publishAndCollect(harness, numbered(harness, 100, 3));
        assertDense(received);
        const [{ epoch }] = received as [StampedEvent];
        assert.ok(received.every((event) => event.epoch === epoch));
      },
    },
    {
      name: 'delivers everything to a group that was declared before, also when it subscribes late',
      async run(harness) {
        const events = numbered(harness, 50, 5);
        const group = await declareGroup(harness, 'early');
        await publishAll(harness.stream, harness.streamName, events.slice(0, 25));
        await harness.stream.declareGroup(harness.streamName, group);
        await publishAll(harness.stream, harness.streamName, events.slice(25));
        assertOrderPerMachine(await collect(harness, group, events.length), events);
      },
    },
    {
      name: 'keeps nothing for a group that was forgotten, and begins anew when it is declared again',
      async run(harness) {
        const group = await declareGroup(harness);
        const events = numbered(harness, 4, 1);
        await publishAll(harness.stream, harness.streamName, events.slice(0, 3));
        await harness.stream.forgetGroup(harness.streamName, group);
        await harness.stream.forgetGroup(harness.streamName, group);
        await assert.rejects(
          harness.stream.subscribe(harness.streamName, group, async () => undefined, { maxBatchEvents: 1 }),
          failsWith('not_found'),
        );
        await harness.stream.declareGroup(harness.streamName, group);
        await publishAll(harness.stream, harness.streamName, events.slice(3));
        const received = await collect(harness, group, 1);
        assert.deepEqual(
          received.map(({ eventId }) => eventId),
          ['e-3'],
        );
      },
    },
    {
      name: 'delivers every event to each of two groups',
      async run(harness) {
        const events = numbered(harness, 40, 4);
        const groups = [await declareGroup(harness, 'store'), await declareGroup(harness, 'compute')];
        await publishAll(harness.stream, harness.streamName, events);
        for (const group of groups) assertOrderPerMachine(await collect(harness, group, events.length), events);
      },
    },
    {
      name: 'delivers a batch again after its handler failed, and counts the redeliveries',
      async run(harness) {
        const events = numbered(harness, 10, 1);
        const group = await declareGroup(harness);
        await publishAll(harness.stream, harness.streamName, events);
        const redeliveries: number[] = [];
        const received: StampedEvent[] = [];
        await consumeUntil(harness, group, { maxBatchEvents: 10 }, async (batch) => {
          redeliveries.push(batch.redeliveries);
          if (redeliveries.length <= 2) throw new Error('the sink is away');
          received.push(...batch.events);
          await batch.ack();
          return received.length >= events.length;
        });
        assertOrderPerMachine(received, events);
        assert.equal(redeliveries[0], 0);
        assert.ok(redeliveries.some((count) => count >= 1));
      },
    },
    {
      name: 'delivers an event again that was not acknowledged before the client closed, and not one that was',
      async run(harness) {
        const events = numbered(harness, 20, 1);
        const group = await declareGroup(harness);
        const client = await harness.reopen();
        await publishAll(client, harness.streamName, events);
        const acknowledged: string[] = [];
        const left = await consumeUntilLeft({ ...harness, stream: client }, group, 5, async (batch) => {
          if (acknowledged.length >= 10) return true;
          acknowledged.push(...batch.events.map((event) => event.eventId));
          await batch.ack();
          return false;
        });
        await client.close();
        const received = await collect(harness, group, events.length - acknowledged.length);
        assert.ok(left);
        assertOrderPerMachine(received, events.slice(acknowledged.length));
      },
    },
    {
      name: 'is not harmed by a second acknowledgement, nor by one after a nack',
      async run(harness) {
        const events = numbered(harness, 10, 2);
        const group = await declareGroup(harness);
        await publishAll(harness.stream, harness.streamName, events);
        const received: StampedEvent[] = [];
        await consumeUntil(harness, group, { maxBatchEvents: 5 }, async (batch) => {
          received.push(...batch.events);
          await batch.ack();
          await batch.ack();
          await batch.nack([0]);
          return received.length >= events.length;
        });
        assertOrderPerMachine(received, events);
      },
    },
    {
      name: 'delivers a nacked event again, no sooner than asked, and never one that was acknowledged with it',
      async run(harness) {
        const events = numbered(harness, 3, 3);
        const group = await declareGroup(harness);
        await publishAll(harness.stream, harness.streamName, events);
        const delayMs = 150;
        let nackedAtMs = 0;
        const acknowledgedWithIt: string[] = [];
        const again: string[] = [];
        await consumeUntil(harness, group, { maxBatchEvents: 10 }, async (batch) => {
          const ids = batch.events.map(({ eventId }) => eventId);
          const failing = ids.indexOf(events[1]!.eventId);
          if (nackedAtMs > 0) again.push(...ids);
          if (failing >= 0 && nackedAtMs === 0) {
            nackedAtMs = performance.now();
            // The others may not have come yet: between machines no order is promised.
            acknowledgedWithIt.push(...ids.toSpliced(failing, 1));
            await batch.nack([failing], { delayMs });
            return false;
          }
          if (failing >= 0) assert.ok(performance.now() - nackedAtMs >= delayMs - 2, 'it came again too soon');
          await batch.ack();
          return failing >= 0;
        });
        assert.ok(!again.some((id) => acknowledgedWithIt.includes(id)));
      },
    },
    {
      name: 'holds back the later events of a nacked machine, and no other machine',
      async run(harness) {
        const poisoned = newEvent(harness, 'poisoned', 'p-0');
        const behind = [newEvent(harness, 'poisoned', 'p-1'), newEvent(harness, 'poisoned', 'p-2')];
        const others = numbered(harness, 60, 6);
        const group = await declareGroup(harness);
        await publishAll(harness.stream, harness.streamName, [poisoned]);
        const order: string[] = [];
        let isHealed = false;
        let hasFailed = false;
        const subscription = await harness.stream.subscribe(
          harness.streamName,
          group,
          async (batch) => {
            const failing = isHealed ? [] : placesFrom(batch, poisoned);
            hasFailed ||= failing.length > 0;
            order.push(...batch.events.filter((_, index) => !failing.includes(index)).map((event) => event.eventId));
            if (failing.length > 0) await batch.nack(failing, { delayMs: 20 });
            else await batch.ack();
          },
          { maxBatchEvents: 10 },
        );
        try {
          // Else one batch might hold all three, on a busy machine.
          await waitFor(harness, () => hasFailed, 'the first failure');
          await publishAll(harness.stream, harness.streamName, [behind[0]!, ...others, behind[1]!]);
          await waitFor(harness, () => others.every((event) => order.includes(event.eventId)), 'the other machines');
          assert.ok(!behind.some((event) => order.includes(event.eventId)), 'an event overtook a failed one');
          isHealed = true;
          await waitFor(harness, () => order.includes(behind[1]!.eventId), 'the healed machine');
        } finally {
          await subscription.close();
        }
        const ofPoisoned = order.filter((id) => [poisoned, ...behind].some((event) => event.eventId === id));
        assert.deepEqual(
          [...new Set(ofPoisoned)],
          [poisoned, ...behind].map((event) => event.eventId),
        );
      },
    },
    {
      name: 'names the items of a batch that failed, and makes the others durable',
      async run(harness) {
        const events = numbered(harness, 10, 10);
        const group = await declareGroup(harness);
        harness.failNextPublish([2, 7]);
        const { failed } = await harness.stream.publish(harness.streamName, events);
        assert.deepEqual(failed.map((each) => each.index).sort(), [2, 7]);
        const durable = events.filter((_, index) => index !== 2 && index !== 7);
        assertOrderPerMachine(await collect(harness, group, durable.length), durable);
      },
    },
    {
      name: 'counts on without a hole when what failed is published again',
      async run(harness) {
        const events = numbered(harness, 10, 10);
        const group = await declareGroup(harness);
        harness.failNextPublish([2, 7]);
        await harness.stream.publish(harness.streamName, events);
        await publishAll(harness.stream, harness.streamName, [events[2]!, events[7]!]);
        const received = await collect(harness, group, events.length);
        assertDense(received);
        assert.equal(sumOf(countsByPart(received)), events.length);
      },
    },
    {
      name: 'splits a batch that is above the limits of a request',
      async run(harness) {
        const many = numbered(harness, 1200, 11);
        const large = Array.from({ length: 4 }, (_, index) => ({
          ...newEvent(harness, 'large', `large-${index}`),
          payload: new Uint8Array(MAX_EVENT_BYTES).fill(index),
        }));
        const { received } = await publishAndCollect(harness, [...many, ...large]);
        for (const event of received.filter((each) => each.key === large[0]!.key)) {
          assert.equal(event.payload.byteLength, MAX_EVENT_BYTES);
          assert.ok(event.payload.every((byte) => byte === Number(event.eventId.split('-')[1])));
        }
      },
    },
    {
      name: 'refuses an event above the size limit with invalid_argument, and the batch with it',
      async run(harness) {
        const group = await declareGroup(harness);
        const tooLarge = { ...newEvent(harness, 'm1', 'too-large'), payload: new Uint8Array(MAX_EVENT_BYTES + 1) };
        const refused = harness.stream.publish(harness.streamName, [newEvent(harness, 'm1', 'with-it'), tooLarge]);
        await assert.rejects(refused, failsWith('invalid_argument'));
        const after = newEvent(harness, 'm1', 'after');
        await publishAll(harness.stream, harness.streamName, [after]);
        assertOrderPerMachine(await collect(harness, group, 1), [after]);
      },
    },
    {
      name: 'hands a slow consumer one batch at a time, within its limits',
      async run(harness) {
        const payload = new Uint8Array(2000);
        const events = numbered(harness, 200, 5).map((event) => ({ ...event, payload }));
        const group = await declareGroup(harness);
        await publishAll(harness.stream, harness.streamName, events);
        const received: StampedEvent[] = [];
        let running = 0;
        await consumeUntil(harness, group, { maxBatchEvents: 15, maxBatchBytes: 20_000 }, async (batch) => {
          assert.equal(++running, 1);
          assert.ok(batch.events.length <= 15 && batch.events.length * payload.byteLength <= 20_000);
          await new Promise((resolve) => setTimeout(resolve, 2));
          received.push(...batch.events);
          await batch.ack();
          running--;
          return received.length >= events.length;
        });
        assertOrderPerMachine(received, events);
      },
    },
    {
      name: 'delivers an event that is larger than the batch limit alone',
      async run(harness) {
        const events = numbered(harness, 3, 1).map((event) => ({ ...event, payload: new Uint8Array(5000) }));
        const group = await declareGroup(harness);
        await publishAll(harness.stream, harness.streamName, events);
        const sizes: number[] = [];
        await consumeUntil(harness, group, { maxBatchEvents: 10, maxBatchBytes: 100 }, async (batch) => {
          sizes.push(batch.events.length);
          await batch.ack();
          return sizes.length >= events.length;
        });
        assert.deepEqual(sizes, [1, 1, 1]);
      },
    },
    {
      name: 'loses nothing of a consumer that is killed in the middle of a batch',
      async run(harness) {
        const events = numbered(harness, 30, 3);
        const group = await declareGroup(harness);
        await publishAll(harness.stream, harness.streamName, events);
        const seen = await harness.killConsumerMidBatch(group);
        assert.ok(seen.length > 0);
        assertOrderPerMachine(await collect(harness, group, events.length), events);
      },
    },
    {
      name: 'lets two subscriptions of a group see every event between them, in order for each machine',
      async run(harness) {
        const events = numbered(harness, 200, 9);
        const group = await declareGroup(harness);
        const received: StampedEvent[] = [];
        const handler = acknowledgeInto(received);
        const clients = [harness.stream, await harness.reopen()];
        const subscriptions: Subscription[] = [];
        for (const client of clients)
          subscriptions.push(await client.subscribe(harness.streamName, group, handler, { maxBatchEvents: 20 }));
        await publishAll(harness.stream, harness.streamName, events.slice(0, 100));
        await waitFor(harness, () => received.length >= 100, 'the first half');
        await subscriptions[0]!.close();
        await publishAll(harness.stream, harness.streamName, events.slice(100));
        await waitFor(harness, () => new Set(received.map((event) => event.eventId)).size >= 200, 'the second half');
        await subscriptions[1]!.close();
        assertOrderPerMachine(received, events);
      },
    },
    {
      name: 'does not deliver what the caller has settled by its own account',
      async run(harness) {
        const events = numbered(harness, 40, 1);
        const group = await declareGroup(harness);
        await publishAll(harness.stream, harness.streamName, events);
        const settled: StampedEvent[] = [];
        await consumeUntilLeft(harness, group, 10, async (batch) => {
          settled.push(batch.events.at(-1)!);
          return true;
        });
        assert.equal(settled.length, 1);
        // A batch may have fewer events than it may have.
        const after = events.findIndex(({ eventId }) => eventId === settled[0]!.eventId) + 1;
        const received = await collect(harness, group, events.length - after, settled);
        assertOrderPerMachine(received, events.slice(after));
      },
    },
    {
      name: 'runs no handler once a subscription is closed, and waits for the one that runs',
      async run(harness) {
        const group = await declareGroup(harness);
        let state: 'idle' | 'running' | 'finished' = 'idle';
        let isToldToStop = false;
        const subscription = await harness.stream.subscribe(
          harness.streamName,
          group,
          async (batch, signal) => {
            state = 'running';
            await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
            isToldToStop = true;
            await new Promise((resolve) => setTimeout(resolve, 20));
            await batch.ack();
            state = 'finished';
          },
          { maxBatchEvents: 1 },
        );
        await publishAll(harness.stream, harness.streamName, numbered(harness, 2, 1));
        await waitFor(harness, () => state === 'running', 'the handler');
        await subscription.close();
        assert.ok(isToldToStop);
        assert.equal(state, 'finished');
        await publishAll(harness.stream, harness.streamName, numbered(harness, 1, 1));
        await new Promise((resolve) => setTimeout(resolve, 30));
        assert.equal(state, 'finished');
      },
    },
    {
      name: "counts each tenant's items on the stream, or on a part of it, up to and including the event",
      async run(harness) {
        const group = await declareGroup(harness);
        const tenants = ['north', 'south'].map((name) => `${name}-${harness.suffix}` as TenantId);
        const events = Array.from({ length: 60 }, (_, index) => ({
          ...newEvent(harness, `m${index % 4}`, `e-${index}`, tenants[index % 2]),
          acceptedAtMs: ACCEPTED_AT_MS + index,
          items: index % 5,
        }));
        for (let from = 0; from < events.length; from += 20)
          await publishAll(harness.stream, harness.streamName, events.slice(from, from + 20));
        const received = await collect(harness, group, events.length);
        for (const tenant of tenants) {
          const own = received.filter((each) => each.key.startsWith(`${tenant}/`));
          for (const counted of Map.groupBy(own, ({ part }) => part).values()) {
            let items = 0;
            // As they were published: between machines no order of delivery is promised.
            for (const event of counted.sort((left, right) => left.acceptedAtMs - right.acceptedAtMs))
              assert.equal(event.cumulativeItems, (items += event.items));
          }
        }
      },
    },
    {
      name: "goes on with a tenant's count, or begins that of a new part, and opens a new epoch, when a publisher comes again",
      async run(harness) {
        const group = await declareGroup(harness);
        const received: StampedEvent[] = [];
        for (let round = 1; round <= 3; round++) {
          const client = await harness.reopen();
          const events = numbered(harness, 4, 1).map((event) => ({ ...event, eventId: `${event.eventId}-${round}` }));
          await publishAll(client, harness.streamName, events);
          await client.close();
          received.push(...(await collect(harness, group, 4)));
        }
        for (const counted of Map.groupBy(received, ({ part }) => part).values())
          assert.deepEqual(
            counted.map((event) => event.cumulativeItems),
            counted.map((_, index) => index + 1),
          );
        assert.equal(new Set(received.map((event) => `${event.source} ${event.epoch}`)).size, 3);
      },
    },
    {
      name: 'fails with not_found for a stream that does not exist, and for a group that was not declared',
      async run(harness) {
        const { stream, missingStreamName } = harness;
        const ignore: BatchHandler = (batch) => batch.ack();
        const attempts = [
          stream.publish(missingStreamName, numbered(harness, 1, 1)),
          stream.declareGroup(missingStreamName, 'store'),
          stream.subscribe(missingStreamName, 'store', ignore, { maxBatchEvents: 1 }),
          stream.subscribe(harness.streamName, `no-${harness.suffix}`, ignore, { maxBatchEvents: 1 }),
        ];
        await Promise.all(attempts.map((attempt) => assert.rejects(attempt, failsWith('not_found'))));
      },
    },
    {
      name: 'fails with failed_precondition once closed, and closes twice without harm',
      async run(harness) {
        const client = await harness.reopen();
        await client.close();
        await client.close();
        const publish = client.publish(harness.streamName, numbered(harness, 1, 1));
        await assert.rejects(publish, failsWith('failed_precondition'));
        await assert.rejects(client.declareGroup(harness.streamName, 'store'), failsWith('failed_precondition'));
      },
    },
    {
      name: 'keeps what was published before close was called',
      async run(harness) {
        const events = numbered(harness, 100, 3);
        const group = await declareGroup(harness);
        const client = await harness.reopen();
        const published = publishAll(client, harness.streamName, events);
        await client.close();
        await published;
        assertOrderPerMachine(await collect(harness, group, events.length), events);
      },
    },
    {
      name: 'emits the metrics that a site needs: every event published, acknowledged, refused and delivered again',
      async run(harness) {
        const published: PublishedCount[] = [];
        const delivered: DeliveredCount[] = [];
        const observed = observeStream(harness.stream, {
          published: (_stream, count) => published.push(count),
          delivered: (_stream, _group, count) => delivered.push(count),
        });
        const events = numbered(harness, 20, 20);
        const group = await declareGroup(harness);
        await publishAll(observed, harness.streamName, events);
        const missing = observed.publish(harness.missingStreamName, events.slice(0, 3));
        await assert.rejects(missing, failsWith('not_found'));
        let settled = 0;
        await consumeUntil({ ...harness, stream: observed }, group, { maxBatchEvents: 20 }, async (batch) => {
          const refused = batch.redeliveries === 0 ? 1 : 0;
          settled += batch.events.length - refused;
          if (refused > 0) await batch.nack([0]);
          else await batch.ack();
          return settled >= events.length;
        });
        const total = <Count>(counts: readonly Count[], pick: (count: Count) => number) =>
          counts.reduce((sum, count) => sum + pick(count), 0);
        assert.deepEqual(
          [total(published, (count) => count.durable), total(published, (count) => count.failed)],
          [20, 3],
        );
        assert.equal(
          total(delivered, (count) => count.acknowledged),
          20,
        );
        const refused = total(delivered, (count) => count.refused);
        assert.ok(refused >= 1 && total(delivered, (count) => count.redelivered) >= 1);
        assert.ok([...published, ...delivered].every((count) => count.durationMs >= 0));
      },
    },
    {
      name: 'rejects with cancelled soon after the caller aborts',
      async run(harness) {
        const { stream, streamName } = harness;
        const aborted = AbortSignal.abort(new Error('enough'));
        const attempt = stream.publish(streamName, numbered(harness, 1, 1), { signal: aborted });
        await assert.rejects(attempt, failsWith('cancelled'));
        const controller = new AbortController();
        const startedMs = performance.now();
        const racing = stream.publish(streamName, numbered(harness, 1000, 3), { signal: controller.signal });
        controller.abort();
        await racing.catch((error: unknown) => assert.ok(failsWith('cancelled')(error)));
        assert.ok(performance.now() - startedMs < SOON_MS, `abort took more than ${SOON_MS} ms`);
      },
    },
  ],
};

export const measuredStreamContract: Contract<MeasuredStreamHarness> = {
  port: 'event-stream',
  capability: 'MeasuredStream',
  cases: [
    {
      name: "tells each tenant's items up to the durable head, also to another client",
      async run(harness) {
        const group = await declareGroup(harness);
        const tenant = tenantOf(harness);
        const before = (await harness.stream.acceptedItems(harness.streamName)).get(tenant) ?? 0;
        const events = numbered(harness, 30, 2).map((event) => ({ ...event, items: 7 }));
        await publishAll(harness.stream, harness.streamName, events);
        assert.equal((await harness.stream.acceptedItems(harness.streamName)).get(tenant), before + 210);
        const other = (await harness.reopen()) as MeasuredStream;
        const seen = async () => (await other.acceptedItems(harness.streamName)).get(tenant);
        await until(async () => (await seen()) === before + 210, 'the other client counts 210', harness.patienceMs);
        const received = await collect(harness, group, events.length);
        assert.equal(sumOf(countsByPart(received)), before + 210);
      },
    },
    {
      name: 'counts what was settled of parts that it does not know, or of none',
      async run(harness) {
        const group = await declareGroup(harness);
        const tenant = tenantOf(harness);
        const events = numbered(harness, 20, 3);
        await publishAll(harness.stream, harness.streamName, events);
        const parts = [...countsByPart(await collect(harness, group, events.length))].flatMap(([part, items]) =>
          part === undefined ? [] : [[part, items] as const],
        );
        const total = (await harness.stream.acceptedItems(harness.streamName)).get(tenant)!;
        const known = parts.map(([part, items]) => [part, items - 1] as const);
        const undivided = ['', 5] as const;
        const former = [`former-${harness.suffix}`, 7] as const;
        for (const others of [[], [undivided], [undivided, former]]) {
          const settled = new Map([[tenant, new Map([...known, ...others])]]);
          const accepted = await harness.stream.acceptedItems(harness.streamName, { settled });
          // What a stream without parts settled of none is its own.
          const foreign = parts.length > 0 ? others : others.filter((other) => other !== undivided);
          assert.equal(accepted.get(tenant), total + sumOf(new Map(foreign)));
        }
      },
    },
    {
      name: 'counts exactly what several publishers publish at once, also as one of them ends, one is killed and another begins',
      async run(harness) {
        const { streamName } = harness;
        const group = await declareGroup(harness);
        const named = (events: readonly MachineEvent[], name: string) =>
          events.map((event) => ({ ...event, eventId: `${event.eventId}-${name}`, items: 3 }));
        const publish = async (client: EventStream, name: string) => {
          for (let batch = 0; batch < 5; batch++)
            await publishAll(client, streamName, named(numbered(harness, 4, 4), `${name}-${batch}`));
        };
        const [first, second] = [
          (await harness.reopen()) as MeasuredStream,
          (await harness.reopen()) as MeasuredStream,
        ];
        await Promise.all([publish(first, 'first'), publish(second, 'second')]);
        const killed = named(numbered(harness, 4, 4), 'killed');
        const [durable] = await Promise.all([
          harness.killPublisher(killed),
          publish(second, 'second again'),
          first.close().then(async () => publish(await harness.reopen(), 'third')),
        ]);
        assert.equal(durable, killed.length);
        const ofLiving = 4 * 20 * 3;
        const total = ofLiving + killed.length * 3;
        const accepted = async (client: MeasuredStream, settled?: ReadonlyMap<string, number>) => {
          const options = settled && { settled: new Map([[tenantOf(harness), settled]]) };
          return (await client.acceptedItems(streamName, options)).get(tenantOf(harness)) ?? 0;
        };
        const whatIsSaid = `${ofLiving} items are counted by all that publish on`;
        for (const client of [harness.stream, second] as MeasuredStream[])
          await until(async () => (await accepted(client)) >= ofLiving, whatIsSaid, harness.patienceMs);
        const received = await collect(harness, group, total / 3);
        assertDense(received);
        const counts = countsByPart(received);
        assert.equal(sumOf(counts), total);
        const settled = new Map([...counts].map(([part = '', items]) => [part, items]));
        for (const client of [harness.stream, second] as MeasuredStream[])
          assert.equal(await accepted(client, settled), total);
      },
    },
    {
      name: 'tells how many events a group has still to settle, and none once it has',
      async run(harness) {
        const group = await declareGroup(harness);
        await publishAll(harness.stream, harness.streamName, numbered(harness, 25, 2));
        const behind = await harness.stream.lag(harness.streamName, group);
        assert.equal(behind.events, 25);
        assert.ok(behind.oldestAgeMs >= 0 && behind.oldestAgeMs < 60_000);
        assert.ok(behind.fullness > 0 && behind.fullness < 1);
        await collect(harness, group, 25);
        const other = (await harness.reopen()) as MeasuredStream;
        const seen = async () => (await other.lag(harness.streamName, group)).events;
        await until(async () => (await seen()) === 0, 'the other client sees nothing behind', harness.patienceMs);
        const lag = await harness.stream.lag(harness.streamName, group);
        assert.deepEqual(lag, { events: 0, oldestAgeMs: 0, fullness: 0 });
        await assert.rejects(harness.stream.lag(harness.streamName, `no-${harness.suffix}`), failsWith('not_found'));
      },
    },
  ],
};

export const readableTailContract: Contract<ReadableTailHarness> = {
  port: 'event-stream',
  capability: 'ReadableTail',
  cases: [
    {
      name: 'reads the newest events, oldest first, as many as asked, without a group',
      async run(harness) {
        const events = numbered(harness, 120, 4);
        for (let from = 0; from < events.length; from += 30)
          await publishAll(harness.stream, harness.streamName, events.slice(from, from + 30));
        for (const maxEvents of [1, 45, 120]) {
          const tail = await readTail(harness, maxEvents, 0);
          assert.deepEqual(
            tail.map((event) => event.eventId),
            events.slice(-maxEvents).map((event) => event.eventId),
          );
        }
      },
    },
    {
      name: 'reads none that were accepted before the time asked',
      async run(harness) {
        const events = numbered(harness, 100, 4);
        for (let from = 0; from < events.length; from += 10)
          await publishAll(harness.stream, harness.streamName, events.slice(from, from + 10));
        const tail = await readTail(harness, 1000, events[57]!.acceptedAtMs);
        assert.deepEqual(
          tail.map((event) => event.eventId),
          events.slice(57).map((event) => event.eventId),
        );
      },
    },
  ],
};

const ACCEPTED_AT_MS = 1_795_222_800_000;

function tenantOf({ suffix }: EventStreamHarness): TenantId {
  return `north-${suffix}` as TenantId;
}

function newEvent(
  harness: EventStreamHarness,
  machine: string,
  eventId: string,
  tenant = tenantOf(harness),
): MachineEvent {
  return {
    eventId,
    kind: 'telemetry',
    key: machineKey(tenant, 'akron' as SiteId, machine as MachineId),
    items: 1,
    acceptedAtMs: ACCEPTED_AT_MS,
    payload: new TextEncoder().encode(`{"event":"${eventId}"}`),
  };
}

/** Events `e-0`, `e-1`, ... dealt to so many machines in turn, accepted a millisecond apart. */
function numbered(harness: EventStreamHarness, count: number, machines: number): MachineEvent[] {
  return Array.from({ length: count }, (_, index) => ({
    ...newEvent(harness, `m${index % machines}`, `e-${index}`),
    acceptedAtMs: ACCEPTED_AT_MS + index,
  }));
}

async function declareGroup(harness: EventStreamHarness, name = 'group'): Promise<string> {
  const group = `${name}-${harness.suffix}`;
  await harness.stream.declareGroup(harness.streamName, group);
  return group;
}

async function publishAll(stream: EventStream, name: StreamName, events: readonly MachineEvent[]): Promise<void> {
  assert.deepEqual(await stream.publish(name, events), { failed: [] });
}

async function publishAndCollect(
  harness: EventStreamHarness,
  events: readonly MachineEvent[],
): Promise<{ received: StampedEvent[] }> {
  const group = await declareGroup(harness);
  await publishAll(harness.stream, harness.streamName, events);
  const received = await collect(harness, group, events.length);
  assertOrderPerMachine(received, events);
  return { received };
}

/** Acknowledges all that comes until there are so many, and a little longer in case there are more. */
async function collect(
  harness: EventStreamHarness,
  group: string,
  count: number,
  resumeAfter: readonly Progress[] = [],
): Promise<StampedEvent[]> {
  const received: StampedEvent[] = [];
  const options = { maxBatchEvents: 100, resumeAfter };
  const handler = acknowledgeInto(received);
  const subscription = await harness.stream.subscribe(harness.streamName, group, handler, options);
  try {
    const unique = () => new Set(received.map((event) => `${event.key} ${event.eventId}`)).size;
    await waitFor(
      harness,
      () => unique() >= count,
      `${count} events`,
      () => `got ${unique()}`,
    );
    await new Promise((resolve) => setTimeout(resolve, 10));
  } finally {
    await subscription.close();
  }
  return received;
}

/** Runs the handler until it returns true. */
async function consumeUntil(
  harness: EventStreamHarness,
  group: string,
  options: { readonly maxBatchEvents: number; readonly maxBatchBytes?: number },
  handle: (batch: DeliveryBatch) => Promise<boolean>,
): Promise<void> {
  let isDone = false;
  let failure: unknown;
  const handler: BatchHandler = async (batch) => {
    try {
      if (await handle(batch)) isDone = true;
    } catch (error) {
      if (error instanceof assert.AssertionError) failure ??= error;
      throw error;
    }
  };
  const subscription = await harness.stream.subscribe(harness.streamName, group, handler, options);
  try {
    await waitFor(harness, () => isDone || failure !== undefined, 'the deliveries');
  } finally {
    await subscription.close();
  }
  if (failure !== undefined) throw failure as Error;
}

/** Runs the handler until it returns true for a batch, which it leaves unsettled; returns whether there was one. */
async function consumeUntilLeft(
  harness: EventStreamHarness,
  group: string,
  maxBatchEvents: number,
  handle: (batch: DeliveryBatch) => Promise<boolean>,
): Promise<boolean> {
  let isLeft = false;
  const handler: BatchHandler = async (batch, signal) => {
    if (!isLeft && !(await handle(batch))) return;
    isLeft = true;
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
  };
  const subscription = await harness.stream.subscribe(harness.streamName, group, handler, { maxBatchEvents });
  try {
    await waitFor(harness, () => isLeft, 'a batch to leave');
  } finally {
    await subscription.close();
  }
  return isLeft;
}

/** The highest count of each part; undefined: of the stream as a whole. */
function countsByPart(received: readonly StampedEvent[]): Map<string | undefined, number> {
  const parts = Map.groupBy(received, ({ part }) => part);
  return new Map([...parts].map(([part, own]) => [part, Math.max(...own.map((event) => event.cumulativeItems))]));
}

function sumOf(counts: ReadonlyMap<unknown, number>): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}

async function readTail(harness: ReadableTailHarness, maxEvents: number, sinceMs: number): Promise<StampedEvent[]> {
  const events: StampedEvent[] = [];
  for await (const block of harness.stream.readTail(harness.streamName, { maxEvents, sinceMs })) events.push(...block);
  return events;
}

/** Where the batch has the event: its place and those of its machine's later ones, which came with it and must wait for it. */
function placesFrom(batch: DeliveryBatch, event: MachineEvent): number[] {
  const index = batch.events.findIndex((each) => each.eventId === event.eventId);
  if (index < 0) return [];
  return [...batch.events.keys()].filter((place) => place >= index && batch.events[place]!.key === event.key);
}

/** Every event came; the first time each came is in the order in which its machine's events were published. */
function assertOrderPerMachine(received: readonly StampedEvent[], published: readonly MachineEvent[]): void {
  const byMachine = (events: readonly MachineEvent[]) =>
    [...Map.groupBy(events, (event) => event.key)]
      .map(([key, own]) => [key, [...new Set(own.map((event) => event.eventId))]] as const)
      .sort(([left], [right]) => (left < right ? -1 : 1));
  assert.deepEqual(byMachine(received), byMachine(published));
}

/** A publisher may be several sources, as a topic has partitions: each has all of 1, 2, ... in every epoch, from where the collected ones begin. */
function assertDense(received: readonly StampedEvent[]): void {
  for (const own of Map.groupBy(received, ({ source, epoch }) => `${source} ${epoch}`).values()) {
    const seqs = own.map((event) => event.seq).sort((left, right) => left - right);
    seqs.forEach((seq, index) => assert.equal(seq, seqs[0]! + index));
  }
}

async function waitFor(
  { patienceMs }: EventStreamHarness,
  isDone: () => boolean,
  what: string,
  state: () => string = () => '',
): Promise<void> {
  const deadlineMs = performance.now() + patienceMs;
  while (!isDone()) {
    if (performance.now() > deadlineMs) assert.fail(`waited ${patienceMs} ms for ${what}; ${state()}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
