import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { SpanKind } from '@opentelemetry/api';
import { InMemorySpanExporter } from '@opentelemetry/sdk-trace-base';
import type { Registry } from 'prom-client';
import { sampleEvent, stampedEvent } from '#core/contracts/sample-event.ts';
import type { BatchHandler, EventStream, PublishResult, Subscription } from '#core/ports/event-stream.ts';
import { createMetricsRegistry } from './metrics.ts';
import { observedBinding } from './observed-port.ts';
import { observedStream } from './observed-stream.ts';
import { Tracing } from './tracing.ts';

let exporter: InMemorySpanExporter;
let tracing: Tracing;
let metrics: Registry;
beforeEach(() => {
  exporter = new InMemorySpanExporter();
  tracing = new Tracing({ service: 'test', sampleRatio: 1, exporter });
  metrics = createMetricsRegistry('test', { processMetrics: false });
});
afterEach(() => tracing[Symbol.asyncDispose]());

/** Of each batch that is published the first event does not become durable. */
class KafkaEventStream implements EventStream {
  handler: BatchHandler | undefined;

  async publish(): Promise<PublishResult> {
    return { failed: [{ index: 0, code: 'unavailable' }] };
  }
  async declareGroup(): Promise<void> {}
  async forgetGroup(): Promise<void> {}
  async subscribe(_stream: string, _group: string, handler: BatchHandler): Promise<Subscription> {
    this.handler = handler;
    return { close: async () => undefined };
  }
  async close(): Promise<void> {}
}
class EventHubsEventStream extends KafkaEventStream {}
class KinesisEventStream extends KafkaEventStream {}
class PubsubEventStream extends KafkaEventStream {}
class LmdbEventStream extends KafkaEventStream {}

/** As a service has it: over what a provider bound. */
const observed = (stream: EventStream) =>
  observedStream(observedBinding('eventStream', stream as never, { metrics, tracing }), { metrics, tracing });

async function lines(name: string): Promise<readonly string[]> {
  return (await metrics.metrics()).split('\n').filter((line) => line.startsWith(name));
}

describe('what is watched of an event stream, in the names of OpenTelemetry', () => {
  it.each([
    [new KafkaEventStream(), 'kafka'],
    [new EventHubsEventStream(), 'eventhubs'],
    [new PubsubEventStream(), 'gcp_pubsub'],
    [new KinesisEventStream(), 'aws.kinesis'],
    [new LmdbEventStream(), 'lmdb'],
  ])('says of %o that the system is %s', async (stream, system) => {
    await observed(stream).publish('metrics', [sampleEvent('a'), sampleEvent('b'), sampleEvent('c')]);
    const labels = `messaging_system="${system}",messaging_operation_name="publish",messaging_destination_name="metrics"`;
    expect(await lines('messaging_client_sent_messages_total')).toEqual([
      `messaging_client_sent_messages_total{${labels},tribo_outcome="durable",service="test"} 2`,
      `messaging_client_sent_messages_total{${labels},tribo_outcome="failed",service="test"} 1`,
    ]);
    expect(await lines('messaging_client_operation_duration_seconds_count')).toEqual([
      `messaging_client_operation_duration_seconds_count{service="test",${labels}} 1`,
    ]);
  });

  it('counts and times what is delivered by group, and makes a span of the batch', async () => {
    const stream = new KafkaEventStream();
    const maxBatchEvents = 10;
    await observed(stream).subscribe('metrics', 'store', (batch) => batch.nack([1]), { maxBatchEvents });
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const events = [stampedEvent(1, { traceparent }), stampedEvent(2)];
    const batch = { events, redeliveries: 1, ack: async () => undefined, nack: async () => undefined };
    await stream.handler!(batch, new AbortController().signal);
    const by = 'messaging_system="kafka",messaging_operation_name="process",messaging_destination_name="metrics"';
    const labels = `${by},messaging_consumer_group_name="store"`;
    expect(await lines('messaging_client_consumed_messages_total')).toEqual([
      `messaging_client_consumed_messages_total{${labels},tribo_outcome="acknowledged",service="test"} 1`,
      `messaging_client_consumed_messages_total{${labels},tribo_outcome="refused",service="test"} 1`,
    ]);
    expect(await lines('tribo_stream_redelivered_events_total')).toEqual([
      `tribo_stream_redelivered_events_total{${labels},service="test"} 2`,
    ]);
    expect(await lines('messaging_process_duration_seconds_count')).toEqual([
      `messaging_process_duration_seconds_count{service="test",${labels}} 1`,
    ]);
    await tracing.flush();
    expect(exporter.getFinishedSpans()).toMatchObject([
      {
        name: 'process metrics',
        kind: SpanKind.CONSUMER,
        attributes: {
          'messaging.system': 'kafka',
          'messaging.operation.name': 'process',
          'messaging.operation.type': 'process',
          'messaging.destination.name': 'metrics',
          'messaging.consumer.group.name': 'store',
          'messaging.batch.message_count': 2,
        },
      },
    ]);
  });

  it('calls the type of a publish by the conventions’ word', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    await observed(new KafkaEventStream()).publish('metrics', [sampleEvent('a', { traceparent })]);
    await tracing.flush();
    expect(exporter.getFinishedSpans()).toMatchObject([
      { name: 'publish metrics', kind: SpanKind.PRODUCER, attributes: { 'messaging.operation.type': 'send' } },
    ]);
  });
});
