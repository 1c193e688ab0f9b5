import { Counter, Histogram, type Registry } from 'prom-client';
import type { StreamName } from '#core/domain/event.ts';
import type { BatchHandler } from '#core/ports/event-stream.ts';
import { DURATION_BUCKETS_S } from './metrics.ts';
import type { Tracing } from './tracing.ts';

/** Wraps the handlers of consumers: counts and times every batch, and puts a span around those that carry a recorded trace. */
export class HandlerObserver {
  readonly #tracing: Tracing;
  readonly #messages: Counter<'stream' | 'group' | 'outcome'>;
  readonly #duration: Histogram<'stream' | 'group'>;

  constructor({ tracing, metrics }: { readonly tracing: Tracing; readonly metrics: Registry }) {
    this.#tracing = tracing;
    this.#messages = new Counter({
      name: 'messaging_client_consumed_messages_total',
      help: 'Events handed to a consumer, by what became of their batch',
      labelNames: ['stream', 'group', 'outcome'],
      registers: [metrics],
    });
    this.#duration = new Histogram({
      name: 'messaging_process_duration_seconds',
      help: 'From a batch delivered to its handler done',
      labelNames: ['stream', 'group'],
      buckets: [...DURATION_BUCKETS_S],
      registers: [metrics],
    });
  }

  observe(stream: StreamName, group: string, handler: BatchHandler): BatchHandler {
    const done = this.#messages.labels(stream, group, 'done');
    const failed = this.#messages.labels(stream, group, 'failed');
    const duration = this.#duration.labels(stream, group);
    const attributes = { 'messaging.destination.name': stream, 'messaging.consumer.group.name': group };
    return async (batch, signal) => {
      const startedMs = performance.now();
      try {
        await this.#tracing.batchSpan(`process ${stream}`, batch.events, attributes, () => handler(batch, signal));
        done.inc(batch.events.length);
      } catch (error) {
        failed.inc(batch.events.length);
        throw error;
      } finally {
        duration.observe((performance.now() - startedMs) / 1000);
      }
    };
  }
}
