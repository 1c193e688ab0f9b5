import { SpanKind } from '@opentelemetry/api';
import { Counter, Histogram, type Registry } from 'prom-client';
import { observeStream, type StreamObserver, type StreamWork } from '#core/delivery/observed-stream.ts';
import type { EventStream } from '#core/ports/event-stream.ts';
import { DURATION_BUCKETS_S } from './metrics.ts';
import { adapterOf } from './observed-port.ts';
import type { Tracing } from './tracing.ts';

export interface StreamObservation {
  readonly metrics: Registry;
  /** Of the service that uses the stream; without it there are no spans. */
  readonly tracing?: Pick<Tracing, 'batchSpan'> | undefined;
}

/**
 * The stream with what a site watches it by: events published and delivered by outcome, durations, and a span around each batch in which
 * an event belongs to a recorded trace. Names are those of https://opentelemetry.io/docs/specs/semconv/messaging/ where there are any.
 */
export function observedStream<Stream extends EventStream>(stream: Stream, observation: StreamObservation): Stream {
  const metrics = streamMetricsOf(observation.metrics);
  const { tracing } = observation;
  const messaging_system = systemOf(stream);
  const observer: StreamObserver = {
    published: (name, { durable, failed, durationMs }) => {
      const labels = { messaging_system, messaging_operation_name: 'publish', messaging_destination_name: name };
      if (durable > 0) metrics.sent.inc({ ...labels, tribo_outcome: 'durable' }, durable);
      if (failed > 0) metrics.sent.inc({ ...labels, tribo_outcome: 'failed' }, failed);
      metrics.publishing.observe(labels, durationMs / 1000);
    },
    delivered: (name, group, { acknowledged, refused, redelivered, durationMs }) => {
      const labels = {
        ...{ messaging_system, messaging_operation_name: 'process', messaging_destination_name: name },
        messaging_consumer_group_name: group,
      };
      if (acknowledged > 0) metrics.delivered.inc({ ...labels, tribo_outcome: 'acknowledged' }, acknowledged);
      if (refused > 0) metrics.delivered.inc({ ...labels, tribo_outcome: 'refused' }, refused);
      if (redelivered > 0) metrics.redelivered.inc(labels, redelivered);
      metrics.processing.observe(labels, durationMs / 1000);
    },
    ...(tracing && { surround: (work, doIt) => inSpan(tracing, messaging_system, work, doIt) }),
  };
  return observeStream(stream, observer);
}

/** OpenTelemetry's `messaging.system` by the first word of an adapter's name; one that it has no name for has the adapter's. */
const SYSTEMS: Readonly<Record<string, string>> = {
  event: 'eventhubs',
  kafka: 'kafka',
  kinesis: 'aws.kinesis',
  pubsub: 'gcp_pubsub',
};

function systemOf(stream: EventStream): string {
  const [word = ''] = adapterOf(stream).split('-', 1);
  return SYSTEMS[word] ?? word;
}

/** OpenTelemetry's `messaging.operation.type`. */
const OPERATION_TYPES: Readonly<Record<StreamWork['doing'], string>> = { publish: 'send', process: 'process' };

function inSpan<Result>(
  tracing: Pick<Tracing, 'batchSpan'>,
  system: string,
  { doing, stream, group, events }: StreamWork,
  doIt: () => Promise<Result>,
): Promise<Result> {
  const attributes = {
    'messaging.system': system,
    'messaging.operation.name': doing,
    'messaging.operation.type': OPERATION_TYPES[doing],
    'messaging.destination.name': stream,
    'messaging.batch.message_count': events.length,
    ...(group !== undefined && { 'messaging.consumer.group.name': group }),
  };
  const kind = doing === 'publish' ? SpanKind.PRODUCER : SpanKind.CONSUMER;
  return tracing.batchSpan(`${doing} ${stream}`, events, { kind, attributes }, doIt);
}

/** Of every metric of a stream. */
const PUBLISHED_BY = ['messaging_system', 'messaging_operation_name', 'messaging_destination_name'] as const;
const DELIVERED_BY = [...PUBLISHED_BY, 'messaging_consumer_group_name'] as const;
type PublishedBy = (typeof PUBLISHED_BY)[number];
type DeliveredBy = (typeof DELIVERED_BY)[number];

interface StreamMetrics {
  readonly sent: Counter<PublishedBy | 'tribo_outcome'>;
  readonly publishing: Histogram<PublishedBy>;
  readonly delivered: Counter<DeliveredBy | 'tribo_outcome'>;
  readonly redelivered: Counter<DeliveredBy>;
  readonly processing: Histogram<DeliveredBy>;
}

/** Services that share a process share a registry, and so these. */
const known = new WeakMap<Registry, StreamMetrics>();

function streamMetricsOf(registry: Registry): StreamMetrics {
  const metrics = known.get(registry) ?? makeStreamMetrics(registry);
  known.set(registry, metrics);
  return metrics;
}

function makeStreamMetrics(registry: Registry): StreamMetrics {
  const registers = [registry];
  const buckets = [...DURATION_BUCKETS_S];
  return {
    sent: new Counter({
      name: 'messaging_client_sent_messages_total',
      help: 'Events published, by whether they became durable',
      labelNames: [...PUBLISHED_BY, 'tribo_outcome'],
      registers,
    }),
    publishing: new Histogram({
      name: 'messaging_client_operation_duration_seconds',
      help: 'From a publish to its events durable',
      labelNames: PUBLISHED_BY,
      buckets,
      registers,
    }),
    delivered: new Counter({
      name: 'messaging_client_consumed_messages_total',
      help: 'Events delivered to a consumer, by whether it acknowledged them',
      labelNames: [...DELIVERED_BY, 'tribo_outcome'],
      registers,
    }),
    redelivered: new Counter({
      name: 'tribo_stream_redelivered_events_total',
      help: 'Events of batches that were delivered before',
      labelNames: DELIVERED_BY,
      registers,
    }),
    processing: new Histogram({
      name: 'messaging_process_duration_seconds',
      help: 'From a batch delivered to its handler done',
      labelNames: DELIVERED_BY,
      buckets,
      registers,
    }),
  };
}
