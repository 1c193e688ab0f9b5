import { systemClock, type Clock } from '../clock.ts';
import type { MachineEvent, StampedEvent, StreamName } from '../domain/event.ts';
import type { BatchHandler, DeliveryBatch, EventStream, PublishResult } from '../ports/event-stream.ts';

/** Hears what goes over a stream, the same of every adapter: what a site's metrics and traces are made of. */
export interface StreamObserver {
  /** After each publish, also one that threw. */
  published(stream: StreamName, count: PublishedCount): void;
  /** After each delivery. */
  delivered(stream: StreamName, group: string, count: DeliveredCount): void;
  /** Surrounds the work on some events, for instance with a span; does it once and gives back what comes of it. */
  surround?<Result>(work: StreamWork, doIt: () => Promise<Result>): Promise<Result>;
}

export interface PublishedCount {
  readonly durable: number;
  readonly failed: number;
  readonly durationMs: number;
}

/** Every event delivered is in exactly one of acknowledged and refused. */
export interface DeliveredCount {
  readonly acknowledged: number;
  /** Nacked, left unsettled, or of a handler that threw: they come again. */
  readonly refused: number;
  /** Of both, those of a batch that was delivered before. */
  readonly redelivered: number;
  /** Until the handler was done. */
  readonly durationMs: number;
}

export interface StreamWork {
  readonly doing: 'publish' | 'process';
  readonly stream: StreamName;
  /** Of the consumer; absent when publishing. */
  readonly group?: string;
  readonly events: readonly (MachineEvent | StampedEvent)[];
}

/** The stream, with all its extra powers, of which the observer hears. The observer must not throw. */
export function observeStream<Stream extends EventStream>(
  stream: Stream,
  observer: StreamObserver,
  clock: Pick<Clock, 'monotonicMs'> = systemClock,
): Stream {
  const observed: Pick<EventStream, 'publish' | 'subscribe'> = {
    publish: (name, events, options) =>
      surrounded(observer, { doing: 'publish', stream: name, events }, () =>
        publish(observer, clock, name, events.length, () => stream.publish(name, events, options)),
      ),
    subscribe: (name, group, handler, options) =>
      stream.subscribe(name, group, observedHandler(observer, clock, name, group, handler), options),
  };
  return new Proxy(stream, {
    get: (target, property) => {
      if (property in observed) return observed[property as keyof typeof observed];
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

async function publish(
  observer: StreamObserver,
  clock: Pick<Clock, 'monotonicMs'>,
  name: StreamName,
  events: number,
  work: () => Promise<PublishResult>,
): Promise<PublishResult> {
  const startedMs = clock.monotonicMs();
  let durable = 0;
  try {
    const result = await work();
    durable = events - result.failed.length;
    return result;
  } finally {
    observer.published(name, { durable, failed: events - durable, durationMs: clock.monotonicMs() - startedMs });
  }
}

function observedHandler(
  observer: StreamObserver,
  clock: Pick<Clock, 'monotonicMs'>,
  name: StreamName,
  group: string,
  handler: BatchHandler,
): BatchHandler {
  return async (batch, signal) => {
    const startedMs = clock.monotonicMs();
    const { events } = batch;
    let acknowledged: number | undefined;
    const settles = async (count: number, settling: Promise<void>): Promise<void> => {
      await settling;
      acknowledged ??= count;
    };
    const watched: DeliveryBatch = {
      events,
      redeliveries: batch.redeliveries,
      ack: () => settles(events.length, batch.ack()),
      nack: (failed, options) => settles(events.length - new Set(failed).size, batch.nack(failed, options)),
    };
    try {
      await surrounded(observer, { doing: 'process', stream: name, group, events }, () => handler(watched, signal));
    } finally {
      observer.delivered(name, group, {
        acknowledged: acknowledged ?? 0,
        refused: events.length - (acknowledged ?? 0),
        redelivered: batch.redeliveries > 0 ? events.length : 0,
        durationMs: clock.monotonicMs() - startedMs,
      });
    }
  };
}

function surrounded<Result>(observer: StreamObserver, work: StreamWork, doIt: () => Promise<Result>): Promise<Result> {
  return observer.surround ? observer.surround(work, doIt) : doIt();
}
