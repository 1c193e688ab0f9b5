import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Clock } from '#core/clock.ts';
import { stampedEvent } from '#core/contracts/sample-event.ts';
import type { StampedEvent } from '#core/domain/event.ts';
import type { TenantId } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';
import type { Checkpoint, CheckpointStore } from '#core/ports/checkpoint-store.ts';
import type { DeliveryBatch } from '#core/ports/event-stream.ts';
import { countItems, partOf, StreamAccounts } from './stream-accounts.ts';

const north = 'north' as TenantId;
const RETENTION_MS = 1_000_000;

/** Checkpoints in memory, by compare-and-set. */
class Checkpoints implements Pick<CheckpointStore, 'load' | 'save'> {
  readonly #saved = new Map<string, Checkpoint>();
  saves = 0;
  isAway = false;
  /** Holds the next save, which is told of, until `released`. */
  #hold: { readonly reached: () => void; readonly released: Promise<unknown> } | undefined;

  holdNextSave(): { readonly reached: Promise<unknown>; readonly release: () => void } {
    const reached = Promise.withResolvers<unknown>();
    const released = Promise.withResolvers<unknown>();
    this.#hold = { reached: () => reached.resolve(undefined), released: released.promise };
    return { reached: reached.promise, release: () => released.resolve(undefined) };
  }

  async load(name: string): Promise<Checkpoint | undefined> {
    if (this.isAway) throw new PortError('unavailable', 'away');
    return this.#saved.get(name);
  }

  async save(name: string, state: Uint8Array, expectedVersion: number): Promise<Checkpoint> {
    if (this.isAway) throw new PortError('unavailable', 'away');
    const hold = this.#hold;
    this.#hold = undefined;
    hold?.reached();
    await hold?.released;
    if ((this.#saved.get(name)?.version ?? 0) !== expectedVersion)
      throw new PortError('failed_precondition', 'another process saved it');
    this.saves++;
    const saved = { version: expectedVersion + 1, state };
    this.#saved.set(name, saved);
    return saved;
  }
}

/** A stream of some lanes, whose publishers and consumers die, with its truth. */
class World {
  readonly checkpoints = new Checkpoints();
  nowMs = 1_000_000;
  readonly #clock: Clock = { nowMs: () => this.nowMs, monotonicMs: () => this.nowMs };
  readonly lanes = new Map<string, StampedEvent[]>();
  readonly #settledOf = new Map<string, number>();
  /** As the time-series store has it. */
  readonly settled = new Map<string, number>();
  /** What the publisher was told to be durable, and what of that it has saved, by part. */
  told = new Map<string, number>();
  said = new Map<string, number>();
  publisher = this.open();
  consumer = this.open();
  #epoch = 1;
  #items = new Map<string, Map<string, number>>();

  open(): StreamAccounts {
    return new StreamAccounts({
      ...{ checkpoints: this.checkpoints, name: 'metrics', retentionMs: RETENTION_MS, clock: this.#clock },
      // Said when the test says so.
      ...{ saveEveryMs: 100_000, onFailure: () => undefined },
    });
  }

  publish(source: string, items: number, isSaid: boolean): void {
    const own = this.lanes.get(source) ?? [];
    this.lanes.set(source, own);
    const part = partOf(source, this.#epoch);
    const seq = own.filter(({ epoch }) => epoch === this.#epoch).length + 1;
    const counts = this.#items.get(part) ?? new Map<string, number>();
    this.#items.set(part, counts);
    const event = stampedEvent(seq, { items, source, epoch: this.#epoch, part, acceptedAtMs: this.nowMs });
    const cumulativeItems = countItems(isSaid ? counts : new Map(counts), event);
    own.push({ ...event, cumulativeItems });
    if (isSaid) {
      this.publisher.published({ source, epoch: this.#epoch, seq, items: counts });
      this.told.set(part, cumulativeItems);
    }
    // Nobody knows whether it is durable: it is.
    else this.#epoch++;
  }

  /** The publisher saves what it was told; meanwhile goes on while the save is under way. */
  async say(meanwhile?: () => void): Promise<void> {
    await backgroundSaves();
    const held = meanwhile && this.checkpoints.holdNextSave();
    this.said = new Map(this.told);
    const saving = this.publisher.close();
    // Without anything to say there is no save.
    await Promise.race([held?.reached, saving]);
    meanwhile?.();
    held?.release();
    await saving;
  }

  async killPublisher(): Promise<void> {
    this.publisher = this.open();
    this.told = new Map(this.said);
    this.#epoch = Math.max(this.#epoch, await this.publisher.open([...this.lanes.keys()])) + 1;
  }

  killConsumer(): void {
    this.consumer = this.open();
  }

  /** The next events of the lane; the stream's own checkpoint has them once `flush` resolved. */
  async settle(source: string, count: number, isFlushed = true): Promise<void> {
    const from = this.#settledOf.get(source) ?? 0;
    const events = (this.lanes.get(source) ?? []).slice(from, from + count);
    if (events.length === 0) return;
    const batch: DeliveryBatch = { events, redeliveries: 0, ack: async () => undefined, nack: async () => undefined };
    await this.consumer.counting('store', undefined, (given) => given.ack())(batch, new AbortController().signal);
    for (const { part, cumulativeItems } of events)
      this.settled.set(part!, Math.max(this.settled.get(part!) ?? 0, cumulativeItems));
    if (!isFlushed) return;
    await this.consumer.flush('store');
    this.#settledOf.set(source, from + events.length);
  }

  /** What can be known: of each part what is counted, or what was settled where that is more. */
  knownOf(counted: ReadonlyMap<string, number>): number {
    const parts = [...new Set([...counted.keys(), ...this.settled.keys()])];
    return parts.reduce((sum, part) => sum + Math.max(counted.get(part) ?? 0, this.settled.get(part) ?? 0), 0);
  }

  get truth(): number {
    return [...this.lanes.values()].flat().reduce((sum, { items }) => sum + items, 0);
  }

  async accepted(accounts = this.consumer): Promise<number> {
    this.nowMs += 300;
    return (await accounts.acceptedItems({ settled: new Map([[north, this.settled]]) })).get(north) ?? 0;
  }

  async saved(what: string): Promise<{ readonly lanes: object; readonly parts: object }> {
    const { state } = (await this.checkpoints.load(`stream-accounts/metrics/${what}`))!;
    return JSON.parse(new TextDecoder().decode(state)) as { lanes: object; parts: object };
  }

  async waiting(accounts = this.consumer): Promise<number> {
    this.nowMs += 300;
    return (await accounts.lag('store')).events;
  }
}

/** Lets saves end that nothing waits for. */
function backgroundSaves(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

const source = fc.constantFrom('edge.0', 'edge.1', 'edge.2');
const publishes = fc.array(fc.record({ source, items: fc.nat({ max: 5 }), isSaid: fc.boolean() }), {
  ...{ minLength: 2, maxLength: 8, size: 'max' as const },
});
const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ does: fc.constant('publish' as const), source, items: fc.nat({ max: 5 }) }) },
    fc.record({ does: fc.constant('publish, with no answer' as const), source, items: fc.nat({ max: 5 }) }),
    { weight: 3, arbitrary: fc.record({ does: fc.constant('settle' as const), source, count: fc.nat({ max: 6 }) }) },
    fc.record({ does: fc.constant('settle, and die before it is saved' as const), source, count: fc.nat({ max: 6 }) }),
    { weight: 3, arbitrary: fc.record({ does: fc.constant('say, and publish meanwhile' as const), publishes }) },
    fc.record({ does: fc.constantFrom('say', 'kill the publisher', 'kill the consumer') }),
  ),
  { maxLength: 40, size: 'max' },
);

describe('the accounts of a stream', () => {
  it('are never below what is settled nor above what is durable, and exact once all is settled, whoever dies when', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        const world = new World();
        await world.consumer.declare('store');
        for (const step of all) {
          if (step.does === 'publish') world.publish(step.source, step.items, true);
          else if (step.does === 'publish, with no answer') world.publish(step.source, step.items, false);
          else if (step.does === 'settle') await world.settle(step.source, step.count);
          else if (step.does === 'settle, and die before it is saved') {
            await world.settle(step.source, step.count, false);
            world.killConsumer();
          } else if (step.does === 'say, and publish meanwhile') {
            await world.say(() => {
              for (const { source, items, isSaid } of step.publishes) world.publish(source, items, isSaid);
            });
          } else if (step.does === 'say') await world.say();
          else if (step.does === 'kill the publisher') await world.killPublisher();
          else world.killConsumer();
          const settled = [...world.settled.values()].reduce((sum, items) => sum + items, 0);
          const accepted = await world.accepted();
          expect(accepted).toBeGreaterThanOrEqual(settled);
          expect(accepted).toBeLessThanOrEqual(world.truth);
          expect(accepted).toBe(world.knownOf(world.said));
          expect(await world.accepted(world.publisher)).toBe(world.knownOf(world.told));
        }
        await world.say();
        for (const lane of world.lanes.keys()) await world.settle(lane, 1000);
        for (const accounts of [world.consumer, world.publisher, world.open()]) {
          expect(await world.accepted(accounts)).toBe(world.truth);
          expect(await world.waiting(accounts)).toBe(0);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('say what became durable while they were being saved, also of an epoch that ended meanwhile', async () => {
    const world = new World();
    await world.consumer.declare('store');
    world.publish('edge.0', 1, true);
    await world.say(() => {
      world.publish('edge.0', 2, true);
      world.publish('edge.0', 4, false);
      world.publish('edge.0', 8, true);
    });
    expect(await world.accepted(world.publisher)).toBe(11);
    await world.say();
    expect(await world.accepted()).toBe(11);
  });

  it('say what is lost: it was published, and stays what is accepted and not settled', async () => {
    const world = new World();
    await world.consumer.declare('store');
    for (let at = 0; at < 5; at++) world.publish('edge.0', 2, true);
    await world.publisher.close();
    world.lanes.get('edge.0')!.pop();
    await world.settle('edge.0', 10);
    await world.killPublisher();
    world.publish('edge.0', 2, true);
    await world.settle('edge.0', 10);
    expect(await world.accepted(world.publisher)).toBe(12);
    expect([...world.settled.values()].reduce((sum, items) => sum + items, 0)).toBe(10);
  });

  it('are exact at once in the process that publishes, and within a save in another', async () => {
    const world = new World();
    await world.consumer.declare('store');
    world.publish('edge.0', 3, true);
    expect(await world.accepted(world.publisher)).toBe(3);
    expect(await world.waiting(world.publisher)).toBe(1);
    expect(await world.accepted()).toBe(0);
    await world.publisher.close();
    expect(await world.accepted()).toBe(3);
    expect(await world.waiting()).toBe(1);
  });

  it('keep what the next publisher of a lane said, however late the one before it closes', async () => {
    const world = new World();
    await world.consumer.declare('store');
    world.publish('edge.0', 1, true);
    await world.say();
    const former = world.publisher;
    await world.killPublisher();
    for (let at = 0; at < 2; at++) world.publish('edge.0', 1, true);
    await world.say();
    former.published({ source: 'edge.0', epoch: 1, seq: 2, items: new Map([['north', 5]]) });
    expect(await world.waiting(former)).toBe(3);
    await former.close();
    expect(await world.waiting()).toBe(3);
    expect(await world.accepted()).toBe(7);
  });

  it('let go of former epochs that are settled, which changes no sum', async () => {
    const world = new World();
    await world.consumer.declare('store');
    for (let life = 0; life < 5; life++) {
      world.publish('edge.0', 2, true);
      await world.publisher.close();
      await world.killPublisher();
    }
    await world.settle('edge.0', 4);
    world.nowMs += 70_000;
    expect(await world.accepted()).toBe(10);
    await backgroundSaves();
    expect(Object.keys((await world.saved('published')).parts)).toEqual(['edge.0/5']);
    expect(await world.accepted()).toBe(10);
    await world.settle('edge.0', 1);
    expect(await world.accepted()).toBe(10);
  });
});

describe('a group', () => {
  it('has to be declared, has nothing of what was published before, and can be forgotten', async () => {
    const world = new World();
    await expect(world.waiting()).rejects.toMatchObject({ code: 'not_found' });
    world.publish('edge.0', 1, true);
    await world.publisher.close();
    await world.consumer.declare('store');
    expect(await world.waiting()).toBe(0);
    world.publish('edge.0', 1, true);
    await world.consumer.declare('store');
    expect(await world.waiting(world.publisher)).toBe(1);
    await world.publisher.forget('store');
    world.nowMs += 300;
    await expect(world.waiting()).rejects.toMatchObject({ code: 'not_found' });
  });

  it('counts of a batch that failed in part what is before the first failure of each lane', async () => {
    const world = new World();
    await world.consumer.declare('store');
    for (let at = 0; at < 6; at++) world.publish(`edge.${at % 2}`, 1, true);
    const events = [...world.lanes.get('edge.0')!, ...world.lanes.get('edge.1')!];
    const batch: DeliveryBatch = { events, redeliveries: 0, ack: async () => undefined, nack: async () => undefined };
    const handler = world.consumer.counting('store', undefined, (given) => given.nack([1]));
    await handler(batch, new AbortController().signal);
    await world.consumer.flush('store');
    expect(await world.waiting(world.publisher)).toBe(2);
  });

  it('has settled what another account of its says', async () => {
    const world = new World();
    await world.consumer.declare('store');
    for (let at = 0; at < 6; at++) world.publish('edge.0', 1, true);
    const progress = [{ source: 'edge.0', epoch: 1, seq: 4 }];
    world.consumer.counting('store', progress, (given) => given.ack());
    await world.consumer.flush('store');
    expect(await world.waiting(world.publisher)).toBe(2);
  });

  it('lets go of lanes that ended longer ago than the stream keeps events', async () => {
    const world = new World();
    await world.consumer.declare('store');
    world.publish('edge.0', 1, true);
    await world.say();
    await world.settle('edge.0', 1);
    world.publisher = world.open();
    world.nowMs += RETENTION_MS + 1;
    world.publish('edge.1', 1, true);
    await world.say();
    for (let flush = 0; flush < 2; flush++) {
      await world.settle('edge.1', 1);
      expect(Object.keys((await world.saved('group/store')).lanes)).toEqual(['edge.1']);
      world.publish('edge.1', 1, true);
    }
  });

  it('keeps for a while what another account of its says of lanes that no publisher tells of', async () => {
    const world = new World();
    world.nowMs += RETENTION_MS;
    await world.consumer.declare('store');
    for (let at = 0; at < 6; at++) world.publish('edge.0', 1, true);
    const progress = [{ source: 'edge.0', epoch: 1, seq: 4 }, { source: 'former', epoch: 1, seq: 9 }]; // prettier-ignore
    const handler = world.consumer.counting('store', progress, (given) => given.ack());
    const settle = async (event: StampedEvent) => {
      const batch = { events: [event], redeliveries: 0, ack: async () => undefined, nack: async () => undefined };
      await handler(batch, new AbortController().signal);
      await world.consumer.flush('store');
      return Object.keys((await world.saved('group/store')).lanes);
    };
    await world.consumer.flush('store');
    await world.say();
    expect(await world.waiting()).toBe(2);
    const [fifth, sixth] = world.lanes.get('edge.0')!.slice(4);
    world.nowMs += 590_000;
    expect(await settle(fifth!)).toEqual(['edge.0', 'former']);
    expect(await world.waiting()).toBe(1);
    world.nowMs += 20_000;
    expect(await settle(sixth!)).toEqual(['edge.0']);
    expect(await world.waiting()).toBe(0);
  });

  it('waits for nothing that is past the retention of the stream, and says how much of that is used', async () => {
    const world = new World();
    await world.consumer.declare('store');
    world.publish('edge.0', 1, true);
    world.nowMs += RETENTION_MS / 4;
    expect(await world.publisher.lag('store')).toEqual({ events: 1, oldestAgeMs: RETENTION_MS / 4, fullness: 0.25 });
    world.nowMs += RETENTION_MS;
    expect(await world.publisher.lag('store')).toEqual({ events: 0, oldestAgeMs: 0, fullness: 0 });
  });

  it('keeps its account while the checkpoints are away, and saves it once they are back', async () => {
    const world = new World();
    await world.consumer.declare('store');
    world.publish('edge.0', 1, true);
    world.checkpoints.isAway = true;
    await expect(world.settle('edge.0', 1)).rejects.toMatchObject({ code: 'unavailable' });
    world.checkpoints.isAway = false;
    await world.consumer.flush('store');
    expect(await world.waiting(world.publisher)).toBe(0);
    const { saves } = world.checkpoints;
    await world.consumer.flush('store');
    expect(world.checkpoints.saves).toBe(saves);
  });
});
