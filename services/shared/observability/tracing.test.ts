import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { SpanKind } from '@opentelemetry/api';
import { InMemorySpanExporter } from '@opentelemetry/sdk-trace-base';
import type { MachineKey, TenantId } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';
import type { DeviceIntake, DeviceMessage } from '#core/ports/device-gateway.ts';
import type { BatchHandler, DeliveryBatch, EventStream } from '#core/ports/event-stream.ts';
import { startHttpReceiver } from '#test/support/http-receiver.ts';
import { createLogger } from './logger.ts';
import { createMetricsRegistry } from './metrics.ts';
import { observeIntake } from './observed-intake.ts';
import { observedStream } from './observed-stream.ts';
import { activeSpanContext, parseTraceparent, traceparentOf } from './trace-context.ts';
import { Tracing } from './tracing.ts';

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const UNSAMPLED = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00';

let exporter = new InMemorySpanExporter();
const made: Tracing[] = [];
function tracingWith(sampleRatio: number): Tracing {
  const tracing = new Tracing({ service: 'test', sampleRatio, exporter });
  made.push(tracing);
  return tracing;
}
beforeEach(() => {
  exporter = new InMemorySpanExporter();
});
afterEach(async () => {
  for (const tracing of made.splice(0)) await tracing[Symbol.asyncDispose]();
});

const message: DeviceMessage = {
  tenant: 'demo' as TenantId,
  machine: 'demo/akron/press-7' as MachineKey,
  sender: 'gateway',
  content: { kind: 'telemetry', payload: new Uint8Array() },
};

function intakeThat(accept: (message: DeviceMessage) => { accepted: number }): DeviceIntake {
  return {
    accept: async (each) => ({ duplicate: 0, rejected: [], ...accept(each) }),
    isReady: () => true,
    whenReady: async () => undefined,
  };
}

/** A stream whose consumer the test is. */
function streamThat(subscribed: (handler: BatchHandler) => void): EventStream {
  return {
    publish: async () => ({ failed: [] }),
    declareGroup: async () => undefined,
    forgetGroup: async () => undefined,
    subscribe: async (_stream, _group, handler) => {
      subscribed(handler);
      return { close: async () => undefined };
    },
    close: async () => undefined,
  };
}

function batchOf(traceparents: readonly (string | undefined)[]): DeliveryBatch {
  const events = traceparents.map((traceparent) => ({ ...(traceparent !== undefined && { traceparent }) }));
  return { events: events as never, redeliveries: 0, ack: async () => undefined, nack: async () => undefined };
}

describe('W3C trace context', () => {
  it('reads back what it writes', () => {
    expect(traceparentOf(parseTraceparent(TRACEPARENT))).toBe(TRACEPARENT);
  });

  it.each([
    undefined,
    '',
    'nonsense',
    '01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    '00-00000000000000000000000000000000-b7ad6b7169203331-01',
    '00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01',
    `${TRACEPARENT}-extra`,
  ])('reads nothing from %j', (text) => {
    expect(parseTraceparent(text)).toBeUndefined();
  });

  it('names no parent for a trace that is not recorded', () => {
    expect(traceparentOf(parseTraceparent(UNSAMPLED))).toBeUndefined();
  });
});

describe('tracing', () => {
  it('makes one trace of a message’s way from the edge through a consumer', async () => {
    const tracing = tracingWith(1);
    const metrics = createMetricsRegistry('test', { processMetrics: false });
    let carried: string | undefined;
    const intake = observeIntake(
      intakeThat((each) => {
        carried = each.traceparent;
        return { accepted: 3 };
      }),
      { tracing, metrics },
    );
    await intake.accept(message);
    let handle: BatchHandler | undefined;
    const stream = observedStream(
      streamThat((handler) => (handle = handler)),
      { tracing, metrics },
    );
    await stream.subscribe('metrics', 'store', (batch) => batch.ack(), { maxBatchEvents: 10 });
    await handle?.(batchOf([undefined, carried]), new AbortController().signal);
    await tracing.flush();
    const [edge, consumer] = exporter.getFinishedSpans();
    expect(consumer?.spanContext().traceId).toBe(edge?.spanContext().traceId);
    expect(consumer?.parentSpanContext?.spanId).toBe(edge?.spanContext().spanId);
    expect([edge?.kind, consumer?.kind]).toEqual([SpanKind.PRODUCER, SpanKind.CONSUMER]);
    const exposed = await metrics.metrics();
    expect(exposed).toContain('tribo_intake_items_total{outcome="accepted",service="test"} 3');
    const labels = 'messaging_destination_name="metrics",messaging_consumer_group_name="store"';
    expect(exposed).toContain(`${labels},tribo_outcome="acknowledged",service="test"} 2`);
  });

  it('joins the trace of a client that sends a traceparent, however rarely it samples itself', async () => {
    const tracing = tracingWith(0);
    const metrics = createMetricsRegistry('test', { processMetrics: false });
    await observeIntake(
      intakeThat(() => ({ accepted: 1 })),
      { tracing, metrics },
    ).accept({ ...message, traceparent: TRACEPARENT });
    await tracing.flush();
    expect(exporter.getFinishedSpans().map((span) => span.spanContext().traceId)).toEqual([
      '0af7651916cd43dd8448eb211c80319c',
    ]);
  });

  it('makes one span a batch, with a bounded number of links to the other traces', async () => {
    const tracing = tracingWith(0);
    const hex = (n: number) => n.toString(16).padStart(4, '0');
    const many = Array.from(
      { length: 100 },
      (_unused, i) => `00-0af7651916cd43dd8448eb211c80${hex(i)}-b7ad6b7169203331-01`,
    );
    await tracing.batchSpan('process metrics', batchOf(many).events, {}, async () => undefined);
    await tracing.flush();
    const spans = exporter.getFinishedSpans();
    expect(spans).toHaveLength(1);
    expect(spans[0]?.links).toHaveLength(32);
  });

  it('links a span once, however many events of the batch come of it', async () => {
    const tracing = tracingWith(0);
    const other = '00-11111111111111111111111111111111-2222222222222222-01';
    const carried = [TRACEPARENT, TRACEPARENT, other, other, UNSAMPLED];
    await tracing.batchSpan('process metrics', batchOf(carried).events, {}, async () => undefined);
    await tracing.flush();
    const [span] = exporter.getFinishedSpans();
    expect(span?.parentSpanContext?.traceId).toBe('0af7651916cd43dd8448eb211c80319c');
    expect(span?.links.map((link) => link.context.traceId)).toEqual(['1'.repeat(32)]);
  });

  it('makes one trace of what several services of a process do, each under its own name', async () => {
    const tracing = tracingWith(1);
    await tracing
      .as('feature-service')
      .span('outer', {}, () => tracing.as('ml-service').span('inner', {}, async () => undefined));
    await tracing.flush();
    const [inner, outer] = exporter.getFinishedSpans();
    expect([inner?.instrumentationScope.name, outer?.instrumentationScope.name]).toEqual([
      'ml-service',
      'feature-service',
    ]);
    expect(inner?.parentSpanContext?.spanId).toBe(outer?.spanContext().spanId);
  });

  it.each([[[undefined]], [[UNSAMPLED]], [['nonsense']]])(
    'makes no span for a batch that carries %j',
    async (carried) => {
      const tracing = tracingWith(1);
      await tracing.batchSpan('process metrics', batchOf(carried).events, {}, async () => undefined);
      await tracing.flush();
      expect(exporter.getFinishedSpans()).toEqual([]);
    },
  );

  it('records about the part of the messages that it is told to, each drawn once', async () => {
    const tracing = tracingWith(0.2);
    const metrics = createMetricsRegistry('test', { processMetrics: false });
    let carried = 0;
    const intake = observeIntake(
      intakeThat((each) => {
        if (each.traceparent !== undefined) carried++;
        return { accepted: 1 };
      }),
      { tracing, metrics },
    );
    for (let i = 0; i < 2000; i++) await intake.accept(message);
    expect(carried).toBeGreaterThan(250);
    expect(carried).toBeLessThan(560);
  });

  it('marks a span whose work failed, counts a refused message, and lets the error through', async () => {
    const tracing = tracingWith(1);
    const metrics = createMetricsRegistry('test', { processMetrics: false });
    const full = intakeThat(() => {
      throw new PortError('resource_exhausted', 'full');
    });
    await expect(observeIntake(full, { tracing, metrics }).accept(message)).rejects.toMatchObject({
      code: 'resource_exhausted',
    });
    await tracing.flush();
    expect(exporter.getFinishedSpans()[0]?.status).toEqual({ code: 2, message: 'full' });
    expect(await metrics.metrics()).toContain('tribo_intake_items_total{outcome="refused",service="test"} 1');
  });
});

describe('OTLP export', () => {
  it('sends spans as OTLP/HTTP JSON to the collector', async () => {
    const received: { path: string; body: unknown }[] = [];
    await using collector = await startHttpReceiver((request, response, body) => {
      received.push({ path: request.url ?? '', body: JSON.parse(body.toString()) });
      response.end('{}');
    });
    const tracing = new Tracing({ service: 'edge', sampleRatio: 1, endpoint: `${collector.url}/` });
    await tracing.span(
      'work',
      { attributes: { machine: 'press-7', items: 3, ratio: 0.5, late: false } },
      async () => undefined,
    );
    await tracing[Symbol.asyncDispose]();
    expect(received).toHaveLength(1);
    expect(received[0]).toMatchObject({
      path: '/v1/traces',
      body: {
        resourceSpans: [
          {
            resource: {
              attributes: [
                { key: 'service.name', value: { stringValue: 'edge' } },
                { key: 'service.version' },
                { key: 'process.pid' },
              ],
            },
            scopeSpans: [
              {
                spans: [
                  {
                    name: 'work',
                    kind: 1,
                    traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
                    startTimeUnixNano: expect.stringMatching(/^\d{19}$/),
                    attributes: [
                      { key: 'machine', value: { stringValue: 'press-7' } },
                      { key: 'items', value: { intValue: '3' } },
                      { key: 'ratio', value: { doubleValue: 0.5 } },
                      { key: 'late', value: { boolValue: false } },
                    ],
                  },
                ],
              },
            ],
          },
        ],
      },
    });
  });

  it('loses spans, and nothing else, while the collector is away', async () => {
    const tracing = new Tracing({ service: 'edge', sampleRatio: 1, endpoint: 'http://127.0.0.1:9' });
    await expect(tracing.span('work', {}, async () => 'done')).resolves.toBe('done');
    await tracing[Symbol.asyncDispose]().catch(() => undefined);
  });
});

describe('logger', () => {
  function lines() {
    const written: Record<string, unknown>[] = [];
    const write = (text: string) => void written.push(JSON.parse(text) as Record<string, unknown>);
    return { written, logger: createLogger({ service: 'api-gateway', destination: { write } }) };
  }

  it('carries the trace that the line was written in', async () => {
    const { written, logger } = lines();
    const traceId = await tracingWith(1).span('work', {}, async () => {
      await Promise.resolve();
      logger.info({ machine: 'press-7' }, 'seen');
      return activeSpanContext()?.traceId;
    });
    logger.warn('outside');
    expect(written).toMatchObject([
      { level: 'info', service: 'api-gateway', machine: 'press-7', msg: 'seen', traceId },
      { level: 'warn', msg: 'outside' },
    ]);
    expect(written[1]).not.toHaveProperty('traceId');
  });

  it('hides what may be a secret', () => {
    const { written, logger } = lines();
    logger.info({
      token: 'eyJ',
      request: { headers: { authorization: 'Bearer eyJ', cookie: 'a=b' } },
      device: { secret: 's' },
    });
    expect(JSON.stringify(written)).not.toMatch(/eyJ|a=b|"s"/);
  });
});
