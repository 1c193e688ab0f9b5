import { machineRef } from '#core/domain/ids.ts';
import { PortError, throwIfAborted, type CallOptions } from '#core/errors.ts';
import type { Notification, Notifier } from '#core/ports/notifier.ts';

/** Where lines go: a pino logger, for one. */
export interface NotificationLog {
  warn(details: object, message: string): void;
}

/** Writes alarms to the log: what is left where nobody configured a mail server or a webhook. */
export class LogNotifier implements Notifier {
  readonly name = 'log';
  readonly #log: NotificationLog;
  #closed = false;

  constructor(log: NotificationLog) {
    this.#log = log;
  }

  async send({ id, notice }: Notification, { signal }: CallOptions = {}): Promise<void> {
    throwIfAborted(signal);
    if (this.#closed) throw new PortError('failed_precondition', 'the log notifier is closed');
    const { alarm, change } = notice;
    const details = {
      notificationId: id,
      alarmId: alarm.id,
      ...machineRef(alarm.machine),
      change,
      priority: alarm.priority,
      reasons: alarm.parts.filter((part) => part.active).map((part) => part.message),
    };
    this.#log.warn(details, `Anomaly Detected: ${details.machine}`);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }
}
