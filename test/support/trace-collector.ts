import { startHttpReceiver } from './http-receiver.ts';

/** A span as a collector of OTLP/HTTP JSON sees it. */
export interface CollectedSpan {
  readonly service: string;
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  /** Of the protocol: 2 server, 3 client, 4 producer, 5 consumer. */
  readonly kind: number;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
}

export interface TraceCollector extends AsyncDisposable {
  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  readonly endpoint: string;
  /** What came so far. */
  spans(traceId: string): readonly CollectedSpan[];
}

interface ExportRequest {
  readonly resourceSpans: readonly {
    readonly resource: {
      readonly attributes: readonly { readonly key: string; readonly value: { stringValue?: string } }[];
    };
    readonly scopeSpans: readonly { readonly spans: readonly Omit<CollectedSpan, 'service'>[] }[];
  }[];
}

/** A collector of traces on loopback, by OTLP over HTTP as JSON. */
export async function startTraceCollector(): Promise<TraceCollector> {
  const collected: CollectedSpan[] = [];
  const receiver = await startHttpReceiver((request, response, body) => {
    if (request.method === 'POST' && request.url === '/v1/traces') collected.push(...spansOf(body.toString()));
    else response.statusCode = 404;
    response.setHeader('content-type', 'application/json');
    response.end('{}');
  });
  return {
    endpoint: receiver.url,
    spans: (traceId) => collected.filter((span) => span.traceId === traceId),
    [Symbol.asyncDispose]: () => receiver[Symbol.asyncDispose](),
  };
}

function spansOf(text: string): readonly CollectedSpan[] {
  const { resourceSpans } = JSON.parse(text) as ExportRequest;
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = resource.attributes.find(({ key }) => key === 'service.name')?.value.stringValue ?? '';
    return scopeSpans.flatMap(({ spans }) => spans.map((span) => ({ ...span, service })));
  });
}
