import { machineRef } from '#core/domain/ids.ts';
import { PortError, throwIfAborted, type CallOptions } from '#core/errors.ts';
import { isAlarmNotice, type NoticeKind } from '#core/ports/alarm-journal.ts';
import type { Announced } from '#core/announcing/announcement.ts';
import type { Notification, Notifier } from '#core/ports/notifier.ts';

/** Where lines go: a pino logger, for one. */
export interface NotificationLog {
  warn(details: object, message: string): void;
  info(details: object, message: string): void;
}

/** Writes alarms, and that devices come and go, to the log: what is left where nobody configured a mail server or a webhook. */
export class LogNotifier implements Notifier {
  readonly name = 'log';
  readonly takes: ReadonlySet<NoticeKind> = new Set(['alarm', 'device']);
  readonly #log: NotificationLog;
  #closed = false;

  constructor(log: NotificationLog) {
    this.#log = log;
  }

  async send({ id, notice }: Notification, { signal }: CallOptions = {}): Promise<void> {
    throwIfAborted(signal);
    if (this.#closed) throw new PortError('failed_precondition', 'the log notifier is closed');
    if (!isAlarmNotice(notice)) {
      this.#tellOfDevice(id, notice);
      return;
    }
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

  #tellOfDevice(notificationId: string, notice: Announced): void {
    if (notice.kind !== 'device') throw new PortError('invalid_argument', 'the log tells of alarms and devices alone');
    const details = { notificationId, ...notice };
    if (notice.change === 'online') this.#log.info(details, `Device online: ${notice.device}`);
    else this.#log.warn(details, `Device offline: ${notice.device}`);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }
}
