import { SpanKind } from '@opentelemetry/api';
import { isAlarmNotice } from '#core/ports/alarm-journal.ts';
import type { Notifier } from '#core/ports/notifier.ts';
import { isSampled, parseTraceparent } from '#services/shared/observability/trace-context.ts';
import type { Tracing } from '#services/shared/observability/tracing.ts';

/** The notifier, with a span for each notification of an alarm whose message belongs to a recorded trace. */
export function tracedNotifier(notifier: Notifier, tracing: Pick<Tracing, 'span'>): Notifier {
  return {
    name: notifier.name,
    takes: notifier.takes,
    send: (notification, options) => {
      const { notice } = notification;
      if (!isAlarmNotice(notice)) return notifier.send(notification, options);
      const { alarm, change, entry } = notice;
      const parent = 'traceparent' in entry.transition ? parseTraceparent(entry.transition.traceparent) : undefined;
      if (!parent || !isSampled(parent)) return notifier.send(notification, options);
      const attributes = { 'tribo.machine': alarm.machine, 'tribo.alarm': alarm.id, 'tribo.alarm.change': change };
      const spanOptions = { kind: SpanKind.CLIENT, parent, attributes };
      return tracing.span(`notify ${notifier.name}`, spanOptions, () => notifier.send(notification, options));
    },
    close: () => notifier.close(),
  };
}
