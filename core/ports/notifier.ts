import type { CallOptions } from '../errors.ts';
import { isAlarmNotice, type Notice, type NoticeKind } from './alarm-journal.ts';

/** Tells people or other systems of an alarm, or what it takes besides. Retry and dead letters are core/alerting/outbox-pump.ts's, not the notifier's. */
export interface Notifier {
  /** The name that configuration and the outbox know it by. */
  readonly name: string;
  /** What it is to be told of. */
  readonly takes: ReadonlySet<NoticeKind>;

  /**
   * One attempt. Resolves once the receiver has taken it. The notification's id is stable over attempts and reaches the receiver
   * (`Idempotency-Key` and CloudEvents `id`, `Message-ID`), so that it can drop the duplicate which a crash may cause.
   * @throws PortError unavailable, deadline_exceeded or resource_exhausted (try again later); permission_denied, invalid_argument,
   * failed_precondition or not_found (trying again will not help); cancelled.
   */
  send(notification: Notification, options?: CallOptions): Promise<void>;

  /** Releases connections. Idempotent. */
  close(): Promise<void>;
}

/** The names of those that take the kind. */
export function notifiersOf(kind: NoticeKind, notifiers: readonly Notifier[]): readonly string[] {
  return notifiers.filter(({ takes }) => takes.has(kind)).map(({ name }) => name);
}

/** Whether a notifier that takes these kinds takes the notice. */
export function isTaken(notice: Notice, takes: ReadonlySet<NoticeKind>): boolean {
  if (isAlarmNotice(notice)) return takes.has('alarm') || takes.has('alarm-change');
  return takes.has(notice.kind);
}

/** One thing to tell, with an id that is stable over attempts. */
export interface Notification {
  readonly id: string;
  readonly notice: Notice;
}
