import {
  context,
  createContextKey,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
  type Span,
  type SpanContext,
  type Tracer,
} from '@opentelemetry/api';
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  SamplingDecision,
  TraceIdRatioBasedSampler,
  type Sampler,
  type SamplingResult,
  type SpanExporter,
} from '@opentelemetry/sdk-trace-base';
import { OtlpSpanExporter } from './otlp-span-exporter.ts';
import { AsyncLocalContextManager, contextOf, isSampled, parseTraceparent } from './trace-context.ts';

export interface TracingOptions {
  readonly service: string;
  readonly version?: string;
  /** Part of the traces begun here that are recorded, 0 to 1; a trace that began elsewhere is recorded when its beginning was. */
  readonly sampleRatio?: number;
  /** OTEL_EXPORTER_OTLP_ENDPOINT. Without it spans are made, so that logs and answers carry trace ids, and sent nowhere. */
  readonly endpoint?: string | undefined;
  /** Takes the place of the OTLP exporter. */
  readonly exporter?: SpanExporter;
}

export interface SpanOptions {
  readonly kind?: SpanKind;
  readonly parent?: SpanContext | undefined;
  /** The caller has drawn this one already by `sampleRatio`: record it. */
  readonly drawn?: boolean;
  readonly attributes?: Attributes;
}

const DEFAULT_SAMPLE_RATIO = 0.01;
const MAX_LINKS = 32;

/**
 * Traces of one service. A span costs about 7 microseconds, so hot paths make one a batch, with links, and only where an event of the batch
 * belongs to a recorded trace; all other work goes on without one.
 */
export class Tracing implements AsyncDisposable {
  readonly tracer: Tracer;
  readonly sampleRatio: number;
  readonly #provider: BasicTracerProvider;

  constructor({ service, version = '0.1.0', sampleRatio = DEFAULT_SAMPLE_RATIO, endpoint, exporter }: TracingOptions) {
    const target = exporter ?? (endpoint ? new OtlpSpanExporter({ endpoint, service, version }) : undefined);
    this.sampleRatio = sampleRatio;
    this.#provider = new BasicTracerProvider({
      sampler: new ParentBasedSampler({ root: new DrawnOrRatioSampler(sampleRatio) }),
      spanLimits: { linkCountLimit: MAX_LINKS, attributeCountLimit: 64, attributeValueLengthLimit: 512 },
      spanProcessors: target
        ? [new BatchSpanProcessor(target, { maxQueueSize: 2048, scheduledDelayMillis: 1000 })]
        : [],
    });
    this.tracer = this.#provider.getTracer('tribo', version);
    context.setGlobalContextManager(new AsyncLocalContextManager());
  }

  /** Runs work in a span of its own; what it throws marks the span as failed. */
  async span<Result>(name: string, options: SpanOptions, work: (span: Span) => Promise<Result>): Promise<Result> {
    const { kind = SpanKind.INTERNAL, attributes = {}, drawn = false } = options;
    const active = options.parent ? contextOf(options.parent) : context.active();
    const parent = drawn ? active.setValue(DRAWN, true) : active;
    return this.#run(this.tracer.startSpan(name, { kind, attributes }, parent), work);
  }

  /**
   * Runs work on a batch. Where events of it belong to recorded traces, in one span: a child of the first of them, with links to at most
   * {@link MAX_LINKS} others, so that one trace leads from the edge through every stage.
   */
  async batchSpan<Result>(
    name: string,
    events: readonly { readonly traceparent?: string }[],
    attributes: Attributes,
    work: () => Promise<Result>,
  ): Promise<Result> {
    const [parent, ...others] = sampledContexts(events);
    if (!parent) return work();
    const links = others.map((each) => ({ context: each }));
    const options = {
      kind: SpanKind.CONSUMER,
      attributes: { ...attributes, 'messaging.batch.message_count': events.length },
      links,
    };
    return this.#run(this.tracer.startSpan(name, options, contextOf(parent)), work);
  }

  async flush(): Promise<void> {
    await this.#provider.forceFlush();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#provider.shutdown();
  }

  async #run<Result>(span: Span, work: (span: Span) => Promise<Result>): Promise<Result> {
    try {
      return await context.with(trace.setSpan(context.active(), span), () => work(span));
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.message : 'failed' });
      throw error;
    } finally {
      span.end();
    }
  }
}

const DRAWN = createContextKey('tribo.drawn');

class DrawnOrRatioSampler implements Sampler {
  readonly #ratio: TraceIdRatioBasedSampler;

  constructor(ratio: number) {
    this.#ratio = new TraceIdRatioBasedSampler(ratio);
  }

  shouldSample(parent: Context, traceId: string): SamplingResult {
    if (parent.getValue(DRAWN) === true) return { decision: SamplingDecision.RECORD_AND_SAMPLED };
    return this.#ratio.shouldSample(parent, traceId);
  }
}

function sampledContexts(events: readonly { readonly traceparent?: string }[]): readonly SpanContext[] {
  const found: SpanContext[] = [];
  for (const { traceparent } of events) {
    if (traceparent === undefined) continue;
    const spanContext = parseTraceparent(traceparent);
    if (spanContext && isSampled(spanContext)) found.push(spanContext);
    if (found.length > MAX_LINKS) break;
  }
  return found;
}
