import { SpanKind } from '@opentelemetry/api';
import { Counter, Histogram, type Registry } from 'prom-client';
import { isPortError } from '#core/errors.ts';
import type { DeviceIntake, DeviceMessage, IntakeReceipt } from '#core/ports/device-gateway.ts';
import { DURATION_BUCKETS_S } from './metrics.ts';
import { parseTraceparent, traceparentOf } from './trace-context.ts';
import type { Tracing } from './tracing.ts';

/**
 * The intake with metrics, and with a trace begun for a sample of the messages: their events carry its `traceparent`, by which every
 * later stage joins it. Which messages are sampled is decided before anything is made, so that the others pay nothing.
 */
export function observeIntake(
  intake: DeviceIntake,
  { tracing, metrics }: { tracing: Tracing; metrics: Registry },
): DeviceIntake {
  const items = new Counter({
    name: 'tribo_intake_items_total',
    help: 'Items of acknowledged messages by outcome, and messages that were refused',
    labelNames: ['outcome'],
    registers: [metrics],
  });
  const duration = new Histogram({
    name: 'tribo_intake_duration_seconds',
    help: 'From a message received to its items durable',
    buckets: [...DURATION_BUCKETS_S],
    registers: [metrics],
  });
  const count = {
    accepted: items.labels('accepted'),
    duplicate: items.labels('duplicate'),
    rejected: items.labels('rejected'),
    refused: items.labels('refused'),
  };

  const measured = async (message: DeviceMessage): Promise<IntakeReceipt> => {
    const startedMs = performance.now();
    try {
      const receipt = await intake.accept(message);
      count.accepted.inc(receipt.accepted);
      if (receipt.duplicate > 0) count.duplicate.inc(receipt.duplicate);
      if (receipt.rejected.length > 0) count.rejected.inc(receipt.rejected.length);
      return receipt;
    } catch (error) {
      if (isPortError(error)) count.refused.inc();
      throw error;
    } finally {
      duration.observe((performance.now() - startedMs) / 1000);
    }
  };
  const traced = (message: DeviceMessage): Promise<IntakeReceipt> => {
    const attributes = { 'tribo.machine': message.machine, 'tribo.content': message.content.kind };
    const parent = parseTraceparent(message.traceparent);
    return tracing.span(
      `accept ${message.content.kind}`,
      { kind: SpanKind.PRODUCER, parent, attributes, drawn: !parent },
      async (span) => {
        const { traceparent: _parent, ...rest } = message;
        const traceparent = traceparentOf(span.spanContext());
        return measured(traceparent === undefined ? rest : { ...rest, traceparent });
      },
    );
  };
  return {
    accept: (message) =>
      message.traceparent !== undefined || Math.random() < tracing.sampleRatio ? traced(message) : measured(message),
    get ready() {
      return intake.ready;
    },
    whenReady: () => intake.whenReady(),
  };
}
