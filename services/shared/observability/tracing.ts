import { isPromise } from 'node:util/types';
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
import { errorTypeOf } from './error-type.ts';
import {
  activeSpanContext,
  AsyncLocalContextManager,
  contextOf,
  isSampled,
  parseTraceparent,
} from './trace-context.ts';

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

const VERSION = '0.1.0';
const DEFAULT_SAMPLE_RATIO = 0.01;
const MAX_LINKS = 32;

/**
 * Traces of one service, or of each of several in one process. A span costs about 7 microseconds, so hot paths make one a batch, with links, and only where an event of the batch
 * belongs to a recorded trace; all other work goes on without one.
 */
export class Tracing implements AsyncDisposable {
  readonly tracer: Tracer;
  readonly sampleRatio: number;
  readonly #provider: BasicTracerProvider;

  constructor(options: TracingOptions, provider = providerOf(options)) {
    const { service, version = VERSION, sampleRatio = DEFAULT_SAMPLE_RATIO } = options;
    this.sampleRatio = sampleRatio;
    this.#provider = provider;
    this.tracer = provider.getTracer(service, version);
  }

  /** The same tracing under the name of one of the services that share this process; to flush and to close it is the process's business. */
  as(service: string): Tracing {
    return new Tracing({ service, sampleRatio: this.sampleRatio }, this.#provider);
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
    { kind = SpanKind.CONSUMER, attributes = {} }: Pick<SpanOptions, 'kind' | 'attributes'>,
    work: () => Promise<Result>,
  ): Promise<Result> {
    const [parent, ...others] = sampledContexts(events);
    if (!parent) return work();
    const options = {
      kind,
      attributes: { ...attributes, 'messaging.batch.message_count': events.length },
      links: others.map((each) => ({ context: each })),
    };
    return this.#run(this.tracer.startSpan(name, options, contextOf(parent)), work);
  }

  /**
   * Makes a call to another part: in a span of its own where the running code belongs to a recorded trace, else alone, which costs nothing.
   * What is no promise is given back as it is, without a span.
   */
  callSpan<Result>(
    name: string,
    { kind = SpanKind.CLIENT, attributes = {} }: Pick<SpanOptions, 'kind' | 'attributes'>,
    call: () => Result,
  ): Result {
    const caller = activeSpanContext();
    if (!caller || !isSampled(caller)) return call();
    const active = context.active();
    const span = this.tracer.startSpan(name, { kind, attributes }, active);
    const result = context.with(trace.setSpan(active, span), call);
    return isPromise(result) ? (this.#run(span, () => result) as Result) : result;
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
      span.setAttribute('error.type', errorTypeOf(error));
      span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.message : 'failed' });
      throw error;
    } finally {
      span.end();
    }
  }
}

/** A span's instrumentation scope is the service that made it: several may share a process. */
function providerOf({ version = VERSION, sampleRatio = DEFAULT_SAMPLE_RATIO, endpoint, exporter }: TracingOptions) {
  const target = exporter ?? (endpoint ? new OtlpSpanExporter({ endpoint, version }) : undefined);
  context.setGlobalContextManager(new AsyncLocalContextManager());
  return new BasicTracerProvider({
    sampler: new ParentBasedSampler({ root: new DrawnOrRatioSampler(sampleRatio) }),
    spanLimits: { linkCountLimit: MAX_LINKS, attributeCountLimit: 64, attributeValueLengthLimit: 512 },
    spanProcessors: target ? [new BatchSpanProcessor(target, { maxQueueSize: 2048, scheduledDelayMillis: 1000 })] : [],
  });
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

/** Of recorded traces, each span once: at most one more than there may be links. */
function sampledContexts(events: readonly { readonly traceparent?: string }[]): readonly SpanContext[] {
  const found = new Map<string, SpanContext>();
  for (const { traceparent } of events) {
    if (traceparent === undefined || found.has(traceparent)) continue;
    const spanContext = parseTraceparent(traceparent);
    if (spanContext && isSampled(spanContext)) found.set(traceparent, spanContext);
    if (found.size > MAX_LINKS) break;
  }
  return [...found.values()];
}
