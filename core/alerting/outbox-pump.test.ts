import { describe, expect, it } from '@jest/globals';
import { HeldClock } from '#test/support/held-clock.ts';
import { MemoryEventStream } from '#test/support/memory-event-stream.ts';
import { until } from '../contracts/until.ts';
import { sampleActivation, sampleNotice } from '../contracts/sample-alarm.ts';
import type { MachineKey } from '../domain/ids.ts';
import { PortError } from '../errors.ts';
import type { AlarmNotice, AlarmOutbox, OutboxCount, OutboxMessage, OutboxQuery } from '../ports/alarm-journal.ts';
import type { Notification, Notifier } from '../ports/notifier.ts';
import { pumpToNotifier, pumpToStream, type NotifyOptions, type OutboxPump } from './outbox-pump.ts';

const T0 = 1_795_222_800_000;
const machine = 'north/akron/press-7' as MachineKey;

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const notice = sampleNotice(sampleActivation({ machine, atMs: T0, traceparent: TRACEPARENT }));

/** An outbox in memory, as every adapter's contract asks. */
class Outbox implements AlarmOutbox {
  readonly messages: (OutboxMessage & { readonly dead?: boolean })[] = [];

  add(id: string, destination: string): void {
    this.messages.push({ id, destination, machine, attempts: 0, dueAtMs: 0, createdAtMs: T0, notice });
  }

  async pendingMessages({ destination, nowMs, limit }: OutboxQuery): Promise<readonly OutboxMessage[]> {
    const due = (each: (typeof this.messages)[number]) =>
      each.destination === destination && !each.dead && each.dueAtMs <= nowMs;
    return this.messages.filter(due).slice(0, limit);
  }

  async markDelivered(ids: readonly string[]): Promise<void> {
    for (const id of ids)
      this.messages.splice(
        this.messages.findIndex((each) => each.id === id),
        1,
      );
  }

  async markFailed(id: string, failure: { readonly code: string; readonly detail: string; readonly dueAtMs?: number }) {
    const at = this.messages.findIndex((each) => each.id === id);
    const { attempts, ...message } = this.messages[at]!;
    const { dueAtMs } = failure;
    const changes = dueAtMs === undefined ? { dead: true } : { dueAtMs };
    this.messages[at] = { ...message, attempts: attempts + 1, lastError: failure, ...changes };
  }

  async deadMessages(): Promise<readonly OutboxMessage[]> {
    return this.messages.filter((each) => each.dead);
  }

  async retryDead(): Promise<void> {}

  async outboxCounts(): Promise<ReadonlyMap<string, OutboxCount>> {
    return new Map();
  }
}

class Receiver implements Notifier {
  readonly name = 'mail';
  readonly takes = new Set(['alarm'] as const);
  readonly received: string[] = [];
  attempts = 0;
  failure: PortError | undefined;

  async send({ id }: Notification): Promise<void> {
    this.attempts++;
    if (this.failure) throw this.failure;
    this.received.push(id);
  }

  async close(): Promise<void> {}
}

/** A pump towards a receiver on a clock that the test holds. */
class Notifying implements AsyncDisposable {
  readonly outbox = new Outbox();
  readonly receiver = new Receiver();
  readonly clock = new HeldClock(T0);
  readonly problems: string[] = [];
  #pump: OutboxPump | undefined;

  start(options: Partial<NotifyOptions> = {}): OutboxPump {
    const { outbox, clock } = this;
    const onProblem = (doing: string) => void this.problems.push(doing);
    const delays = { firstDelayMs: 1000, longestDelayMs: 4000, random: () => 1 };
    this.#pump = pumpToNotifier(this.receiver, { outbox, clock, onProblem, pollMs: 5, ...delays, ...options });
    return this.#pump;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pump?.close();
  }
}

describe('pump to a notifier', () => {
  it('sends what waits at its start, and what it is woken for', async () => {
    await using notifying = new Notifying();
    notifying.outbox.add('n1', 'mail');
    const pump = notifying.start({ pollMs: 60_000 });
    await until(() => notifying.receiver.received.length === 1);
    notifying.outbox.add('n2', 'mail');
    notifying.outbox.add('n3', 'webhook');
    pump.wake();
    await until(() => notifying.receiver.received.length === 2);
    expect(notifying.receiver.received).toEqual(['n1', 'n2']);
    expect(notifying.outbox.messages.map(({ id }) => id)).toEqual(['n3']);
  });

  it('waits longer after each failure, up to a bound, and gives up after the last attempt', async () => {
    await using notifying = new Notifying();
    const { receiver, clock, outbox } = notifying;
    receiver.failure = new PortError('unavailable', 'away');
    outbox.add('n1', 'mail');
    notifying.start({ maxAttempts: 5 });
    for (const [attempt, delayMs] of [1000, 2000, 4000, 4000].entries()) {
      await until(() => receiver.attempts === attempt + 1);
      await until(() => outbox.messages[0]?.dueAtMs === clock.nowMs() + delayMs);
      clock.advance(delayMs);
    }
    await until(() => outbox.messages[0]?.dead === true);
    expect(outbox.messages[0]).toMatchObject({ attempts: 5, lastError: { code: 'unavailable', detail: 'away' } });
    expect(notifying.problems).toHaveLength(5);
  });

  it('spreads its attempts by half of the delay at most', async () => {
    await using notifying = new Notifying();
    notifying.receiver.failure = new PortError('unavailable', 'away');
    notifying.outbox.add('n1', 'mail');
    notifying.start({ random: () => 0 });
    await until(() => notifying.outbox.messages[0]?.dueAtMs === T0 + 500);
  });

  it('does not try again what will not pass, nor hold up what comes after it', async () => {
    await using notifying = new Notifying();
    const { receiver, outbox } = notifying;
    receiver.failure = new PortError('invalid_argument', 'no such user');
    outbox.add('n1', 'mail');
    notifying.start();
    await until(() => outbox.messages[0]?.dead === true);
    receiver.failure = undefined;
    outbox.add('n2', 'mail');
    await until(() => receiver.received.length === 1);
    expect(receiver.received).toEqual(['n2']);
  });

  it('says why nothing gets through while its outbox is away, and goes on afterwards', async () => {
    await using notifying = new Notifying();
    const { outbox } = notifying;
    const read = outbox.pendingMessages.bind(outbox);
    outbox.pendingMessages = async () => {
      throw new PortError('unavailable', 'the journal is away');
    };
    outbox.add('n1', 'mail');
    const pump = notifying.start();
    await until(() => pump.problem() === 'the journal is away');
    outbox.pendingMessages = read;
    await until(() => notifying.receiver.received.length === 1);
    await until(() => pump.problem() === undefined);
  });
});

describe('pump to the stream', () => {
  it('keeps every message until the stream has it', async () => {
    const outbox = new Outbox();
    const stream = new MemoryEventStream();
    stream.failure = { error: new PortError('unavailable', 'the log is away') };
    outbox.add('m0', 'stream');
    const pump = pumpToStream(stream, { outbox, clock: new HeldClock(T0), pollMs: 5, onProblem: () => undefined });
    await until(() => stream.publishes > 0);
    expect(outbox.messages.map(({ id }) => id)).toEqual(['m0']);
    await pump.close();
    expect(outbox.messages.map(({ id }) => id)).toEqual(['m0']);
    expect(stream.events('alarms')).toEqual([]);
  });

  it('goes on with what is more than it takes at once, without waiting for its next look', async () => {
    const outbox = new Outbox();
    const stream = new MemoryEventStream();
    for (let i = 0; i < 450; i++) outbox.add(`m${i}`, 'stream');
    const pump = pumpToStream(stream, {
      outbox,
      clock: new HeldClock(T0),
      pollMs: 3_600_000,
      onProblem: () => undefined,
    });
    await until(() => outbox.messages.length === 0);
    await pump.close();
    expect(stream.events('alarms')).toHaveLength(450);
  });

  it('publishes every message in order with an id and trace of its own, again after a failure', async () => {
    const outbox = new Outbox();
    const stream = new MemoryEventStream();
    stream.failure = { error: new PortError('internal', 'no'), alsoAppends: true };
    for (let i = 0; i < 450; i++) outbox.add(`m${i}`, 'stream');
    const pump = pumpToStream(stream, { outbox, clock: new HeldClock(T0), pollMs: 5, onProblem: () => undefined });
    await until(() => pump.problem() !== undefined);
    stream.failure = undefined;
    await until(() => outbox.messages.length === 0);
    await pump.close();
    const events = stream.events('alarms');
    const ids = events.map((event) => event.eventId);
    expect(new Set(ids).size).toBe(450);
    expect([...new Set(ids)]).toEqual(ids.slice(-450));
    expect(events[0]).toMatchObject({
      kind: 'alarm',
      key: machine,
      items: 0,
      acceptedAtMs: T0,
      traceparent: expect.stringMatching(/^00-/),
    });
    expect((JSON.parse(Buffer.from(events[0]!.payload).toString()) as AlarmNotice).change).toBe('raised');
  });
});
