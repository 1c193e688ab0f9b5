import { SpanKind } from '@opentelemetry/api';
import { Counter, Histogram, type Registry } from 'prom-client';
import { isPortError } from '#core/errors.ts';
import type { DeviceIntake, DeviceMessage, IntakeReceipt } from '#core/ports/device-gateway.ts';
import { DURATION_BUCKETS_S } from './metrics.ts';
import { parseTraceparent, traceparentOf } from './trace-context.ts';
import type { Tracing } from './tracing.ts';

const TIMED_ONE_IN = 16;

/**
 * The intake with metrics, and with a trace begun for a sample of the messages: their events carry its `traceparent`, by which every
 * later stage joins it. Which messages are sampled is decided before anything is made, so that the others pay nothing.
 */
export function observeIntake(
  intake: DeviceIntake,
  { tracing, metrics }: { tracing: Tracing; metrics: Registry },
): DeviceIntake {
  // Kept as numbers until somebody asks: there are tens of thousands of messages a second.
  const counted = { accepted: 0, duplicate: 0, rejected: 0, refused: 0 };
  new Counter({
    name: 'tribo_intake_items_total',
    help: 'Items of acknowledged messages by outcome, and messages that were refused',
    labelNames: ['outcome'],
    registers: [metrics],
    collect() {
      this.reset();
      for (const [outcome, count] of Object.entries(counted)) this.inc({ outcome }, count);
    },
  });
  const duration = new Histogram({
    name: 'tribo_intake_duration_seconds',
    help: `From a message received to its items durable, of one message in ${TIMED_ONE_IN}`,
    buckets: [...DURATION_BUCKETS_S],
    registers: [metrics],
  });
  const count = (receipt: IntakeReceipt): void => {
    counted.accepted += receipt.accepted;
    counted.duplicate += receipt.duplicate;
    counted.rejected += receipt.rejected.length;
  };
  const countRefusal = (error: unknown): void => {
    if (isPortError(error)) counted.refused++;
  };

  let messages = 0;
  const measured = (message: DeviceMessage): Promise<IntakeReceipt> => {
    const receipt = intake.accept(message);
    receipt.then(count, countRefusal);
    if (messages++ % TIMED_ONE_IN === 0) {
      const timer = duration.startTimer();
      const stop = (): void => void timer();
      receipt.then(stop, stop);
    }
    return receipt;
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
    isReady: (kind) => intake.isReady(kind),
    whenReady: (kind) => intake.whenReady(kind),
  };
}
