import { describe, expect, it } from '@jest/globals';
import { sampleEvent } from '../contracts/sample-event.ts';
import { PortError } from '../errors.ts';
import type { EventStream, PublishResult } from '../ports/event-stream.ts';
import { BackPressure } from './back-pressure.ts';
import { TurnPublisher } from './turn-publisher.ts';

describe('what is gathered in the turn in which an append fails', () => {
  it('fails with it, and is not published, so that nothing overtakes what failed', async () => {
    const published: string[][] = [];
    const first = Promise.withResolvers<PublishResult>();
    const stream: Partial<EventStream> = {
      publish: (_stream, events) => {
        published.push(events.map(({ eventId }) => eventId));
        return published.length === 1 ? first.promise : Promise.resolve({ failed: [] });
      },
    };
    const options = { maxInFlightEvents: 10, maxInFlightBytes: 1000, retryDelayMs: 1 };
    const publisher = new TurnPublisher(stream as EventStream, new BackPressure(), options);
    const told: string[] = [];
    const append = (id: string) =>
      publisher.append('raw-waveform', sampleEvent(id), {
        durable: () => told.push(`${id} durable`),
        failed: ({ code }) => told.push(`${id} ${code}`),
      });
    append('first');
    await new Promise((resolve) => setImmediate(resolve));
    append('behind');
    first.reject(new PortError('resource_exhausted', 'throttled'));
    await publisher.settle();
    expect(told).toEqual(['first resource_exhausted', 'behind unavailable']);
    expect(published).toEqual([['first']]);
    expect(publisher.inFlight).toEqual({ events: 0, bytes: 0 });
    append('again');
    await publisher.settle();
    expect(published).toEqual([['first'], ['again']]);
    publisher.close();
  });
});
