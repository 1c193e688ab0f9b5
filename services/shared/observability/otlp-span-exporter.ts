import type { AttributeValue, HrTime } from '@opentelemetry/api';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base';

type ExportCallback = Parameters<SpanExporter['export']>[1];
type ExportCode = Parameters<ExportCallback>[0]['code'];

export interface OtlpSpanExporterOptions {
  /** Base address of an OTLP/HTTP collector, as in OTEL_EXPORTER_OTLP_ENDPOINT; spans go to its `/v1/traces`. */
  readonly endpoint: string;
  readonly version: string;
  readonly timeoutMs?: number;
  /** More headers, such as an API key. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Values of ExportResultCode: an enum that only the SDK's core package exports, which is no dependency of ours. */
const SUCCESS: unknown = 0;
const FAILED: unknown = 1;

/**
 * Sends spans as OTLP/HTTP JSON (opentelemetry-proto, trace/v1), each under the service that is its instrumentation scope. One attempt a batch: losing spans is better than keeping
 * them.
 */
export class OtlpSpanExporter implements SpanExporter {
  readonly #options: OtlpSpanExporterOptions;
  readonly #underWay = new Set<Promise<void>>();

  constructor(options: OtlpSpanExporterOptions) {
    this.#options = options;
  }

  export(spans: ReadableSpan[], done: ExportCallback): void {
    const sending: Promise<void> = this.#send(spans)
      .then(
        () => done({ code: SUCCESS as ExportCode }),
        (error: unknown) =>
          done({ code: FAILED as ExportCode, error: error instanceof Error ? error : new Error('export failed') }),
      )
      .finally(() => this.#underWay.delete(sending));
    this.#underWay.add(sending);
  }

  async forceFlush(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  async shutdown(): Promise<void> {
    await this.forceFlush();
  }

  async #send(spans: readonly ReadableSpan[]): Promise<void> {
    const { endpoint, version, timeoutMs = 5000, headers } = this.#options;
    const byService = Map.groupBy(spans, (span) => span.instrumentationScope.name);
    const resourceSpans = [...byService].map(([service, own]) => ({
      resource: {
        attributes: keyValues({ 'service.name': service, 'service.version': version, 'process.pid': process.pid }),
      },
      scopeSpans: [{ scope: { name: 'tribo', version }, spans: own.map(otlpSpan) }],
    }));
    const response = await fetch(`${endpoint.replace(/\/+$/, '')}/v1/traces`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify({ resourceSpans }),
      signal: AbortSignal.timeout(timeoutMs),
    });
    await response.body?.cancel();
    if (!response.ok) throw new Error(`the trace collector answered ${response.status}`);
  }
}

function otlpSpan(span: ReadableSpan) {
  const { traceId, spanId } = span.spanContext();
  return {
    traceId,
    spanId,
    ...(span.parentSpanContext && { parentSpanId: span.parentSpanContext.spanId }),
    name: span.name,
    // The API counts kinds from 0 (internal), the protocol from 1, with 0 for "unspecified".
    kind: span.kind + 1,
    startTimeUnixNano: nanoseconds(span.startTime),
    endTimeUnixNano: nanoseconds(span.endTime),
    attributes: keyValues(span.attributes),
    events: span.events.map((event) => ({
      name: event.name,
      timeUnixNano: nanoseconds(event.time),
      attributes: keyValues(event.attributes ?? {}),
    })),
    links: span.links.map((link) => ({
      traceId: link.context.traceId,
      spanId: link.context.spanId,
      attributes: keyValues(link.attributes ?? {}),
    })),
    status: { code: span.status.code, ...(span.status.message !== undefined && { message: span.status.message }) },
  };
}

function nanoseconds([seconds, nanos]: HrTime): string {
  return String(BigInt(seconds) * 1_000_000_000n + BigInt(nanos));
}

function keyValues(attributes: Readonly<Record<string, AttributeValue | undefined>>) {
  return Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined ? [] : [{ key, value: anyValue(value) }],
  );
}

function anyValue(value: AttributeValue | null | undefined): object {
  if (Array.isArray(value)) return { arrayValue: { values: value.map((each) => anyValue(each)) } };
  if (typeof value === 'boolean') return { boolValue: value };
  if (typeof value === 'number')
    return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value };
  return { stringValue: String(value) };
}
