import { SpanKind } from '@opentelemetry/api';
import { Counter, Histogram, type Registry } from 'prom-client';
import { observeStream, type StreamObserver, type StreamWork } from '#core/delivery/observed-stream.ts';
import type { EventStream } from '#core/ports/event-stream.ts';
import { DURATION_BUCKETS_S } from './metrics.ts';
import type { Tracing } from './tracing.ts';

export interface StreamObservation {
  readonly metrics: Registry;
  /** Of the service that uses the stream; without it there are no spans. */
  readonly tracing?: Pick<Tracing, 'batchSpan'> | undefined;
}

/**
 * The stream with what a site watches it by: events published and delivered by outcome, durations, and a span around each batch in which
 * an event belongs to a recorded trace.
 */
export function observedStream<Stream extends EventStream>(stream: Stream, observation: StreamObservation): Stream {
  const metrics = streamMetricsOf(observation.metrics);
  const { tracing } = observation;
  const observer: StreamObserver = {
    published: (name, { durable, failed, durationMs }) => {
      if (durable > 0) metrics.published.inc({ stream: name, outcome: 'durable' }, durable);
      if (failed > 0) metrics.published.inc({ stream: name, outcome: 'failed' }, failed);
      metrics.publishing.observe({ stream: name }, durationMs / 1000);
    },
    delivered: (name, group, { acknowledged, refused, redelivered, durationMs }) => {
      const labels = { stream: name, group };
      if (acknowledged > 0) metrics.delivered.inc({ ...labels, outcome: 'acknowledged' }, acknowledged);
      if (refused > 0) metrics.delivered.inc({ ...labels, outcome: 'refused' }, refused);
      if (redelivered > 0) metrics.redelivered.inc(labels, redelivered);
      metrics.processing.observe(labels, durationMs / 1000);
    },
    ...(tracing && { surround: (work, doIt) => inSpan(tracing, work, doIt) }),
  };
  return observeStream(stream, observer);
}

function inSpan<Result>(
  tracing: Pick<Tracing, 'batchSpan'>,
  { doing, stream, group, events }: StreamWork,
  doIt: () => Promise<Result>,
): Promise<Result> {
  const attributes = {
    'messaging.operation.type': doing,
    'messaging.destination.name': stream,
    ...(group !== undefined && { 'messaging.consumer.group.name': group }),
  };
  const kind = doing === 'publish' ? SpanKind.PRODUCER : SpanKind.CONSUMER;
  return tracing.batchSpan(`${doing} ${stream}`, events, { kind, attributes }, doIt);
}

interface StreamMetrics {
  readonly published: Counter<'stream' | 'outcome'>;
  readonly publishing: Histogram<'stream'>;
  readonly delivered: Counter<'stream' | 'group' | 'outcome'>;
  readonly redelivered: Counter<'stream' | 'group'>;
  readonly processing: Histogram<'stream' | 'group'>;
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
    published: new Counter({
      name: 'messaging_client_published_messages_total',
      help: 'Events published, by whether they became durable',
      labelNames: ['stream', 'outcome'],
      registers,
    }),
    publishing: new Histogram({
      name: 'messaging_client_operation_duration_seconds',
      help: 'From a publish to its events durable',
      labelNames: ['stream'],
      buckets,
      registers,
    }),
    delivered: new Counter({
      name: 'messaging_client_consumed_messages_total',
      help: 'Events delivered to a consumer, by whether it acknowledged them',
      labelNames: ['stream', 'group', 'outcome'],
      registers,
    }),
    redelivered: new Counter({
      name: 'tribo_stream_redelivered_events_total',
      help: 'Events of batches that were delivered before',
      labelNames: ['stream', 'group'],
      registers,
    }),
    processing: new Histogram({
      name: 'messaging_process_duration_seconds',
      help: 'From a batch delivered to its handler done',
      labelNames: ['stream', 'group'],
      buckets,
      registers,
    }),
  };
}
