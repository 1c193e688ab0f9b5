import { describe, expect, it } from '@jest/globals';
import { stampedEvent } from '#core/contracts/sample-event.ts';
import { until } from '#core/contracts/until.ts';
import { systemClock } from '#core/clock.ts';
import { deliveryLimits } from '#core/delivery/delivery-window.ts';
import type { StampedEvent } from '#core/domain/event.ts';
import type { IncomingMessage } from './client.ts';
import { encode } from './envelope.ts';
import { GroupSubscription } from './group-subscription.ts';

/** A pull that a test feeds by hand. */
function start(handle: (ids: readonly string[]) => readonly number[]) {
  const acknowledged: string[] = [];
  const failures: unknown[] = [];
  let take: (message: IncomingMessage) => void = () => undefined;
  const subscription = new GroupSubscription({
    pull: (onMessage) => {
      take = onMessage;
      return { close: async () => undefined };
    },
    clock: systemClock,
    handler: async (batch) => {
      const failed = handle(batch.events.map(({ eventId }) => eventId));
      if (failed.length > 0) await batch.nack(failed, { delayMs: 1 });
      else await batch.ack();
    },
    limits: deliveryLimits({ maxBatchEvents: 10 }, { maxHeldEvents: 100, maxHeldBytes: 100_000 }),
    resumeAfter: undefined,
    onFailure: (error: unknown) => failures.push(error),
  });
  const deliver = (event: StampedEvent, delivery: string) =>
    take({ ...encode(event, event), ack: () => acknowledged.push(delivery) });
  return { subscription, acknowledged, failures, deliver, take: (message: IncomingMessage) => take(message) };
}

describe('a subscription', () => {
  it('acknowledges the newest delivery of an event that came again while it was held, and delivers it once', async () => {
    const seen: string[] = [];
    let failures = 0;
    let mayPass = false;
    const { subscription, acknowledged, deliver } = start((ids) => {
      failures++;
      if (!mayPass) return [...ids.keys()];
      seen.push(...ids);
      return [];
    });
    deliver(stampedEvent(1), 'first');
    await until(() => failures > 0, 'the first failure');
    deliver(stampedEvent(1), 'second');
    mayPass = true;
    await until(() => seen.length > 0, 'the event');
    await subscription.close();
    expect({ seen, acknowledged }).toEqual({ seen: ['e-1'], acknowledged: ['second'] });
  });

  it('neither delivers nor acknowledges what is none of the stream, and tells of it', async () => {
    const seen: string[] = [];
    const { subscription, acknowledged, failures, deliver, take } = start((ids) => {
      seen.push(...ids);
      return [];
    });
    take({ data: new Uint8Array(), attributes: {}, ack: () => acknowledged.push('foreign') });
    deliver(stampedEvent(1), 'own');
    await until(() => seen.length > 0, 'the event');
    await subscription.close();
    expect({ seen, acknowledged }).toEqual({ seen: ['e-1'], acknowledged: ['own'] });
    expect(String(failures)).toContain('none of a stream of Tribo');
  });
});
