import { PortError, throwIfAborted, type CallOptions, type PortErrorCode } from '#core/errors.ts';
import type { NoticeKind } from '#core/ports/alarm-journal.ts';
import { isTaken, type Notification, type Notifier } from '#core/ports/notifier.ts';
import { cloudCall } from './cloud-call.ts';

/** What a service that notifications are handed to differs in. */
export interface Channel {
  /** The name that the outbox knows it by. */
  readonly name: string;
  readonly takes: ReadonlySet<NoticeKind>;
  /** What is sent to, for messages: `topic x`. */
  readonly target: string;
  readonly timeoutMs: number;
  readonly codeOf: (error: unknown) => PortErrorCode;
  /** One attempt, throwing what the SDK throws. */
  readonly send: (notification: Notification, signal: AbortSignal) => Promise<void>;
  readonly close: () => unknown;
}

/** Hands notifications to a service of a cloud, one call each: they are few. */
export class CloudNotifier implements Notifier {
  readonly name: string;
  readonly takes: ReadonlySet<NoticeKind>;
  readonly #channel: Channel;
  #closed = false;

  constructor(channel: Channel) {
    this.name = channel.name;
    this.takes = channel.takes;
    this.#channel = channel;
  }

  async send(notification: Notification, { signal }: CallOptions = {}): Promise<void> {
    throwIfAborted(signal);
    const { target, timeoutMs, codeOf, send } = this.#channel;
    if (this.#closed) throw new PortError('failed_precondition', `the notifier ${this.name} is closed`);
    if (!isTaken(notification.notice, this.takes))
      throw new PortError('invalid_argument', `the notifier ${this.name} tells of ${[...this.takes].join(', ')} alone`);
    const what = `notification ${notification.id} to ${target}`;
    await cloudCall({ what, timeoutMs, signal }, codeOf, (stopped) => send(notification, stopped));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#channel.close();
  }
}
