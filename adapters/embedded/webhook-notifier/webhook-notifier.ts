import { createHmac } from 'node:crypto';
import { cloudEvent } from '#core/announcing/cloud-events.ts';
import type { Clock } from '#core/clock.ts';
import { PortError, throwIfAborted, type CallOptions, type PortErrorCode } from '#core/errors.ts';
import type { NoticeKind } from '#core/ports/alarm-journal.ts';
import { isTaken, type Notification, type Notifier } from '#core/ports/notifier.ts';
import type { WebhookNotifierConfig } from './config.ts';

/** Answers that mean something particular; other 4xx mean that the receiver will never take it, 5xx that it may later. */
const CODE_BY_STATUS: Readonly<Record<number, PortErrorCode>> = {
  401: 'permission_denied',
  403: 'permission_denied',
  404: 'not_found',
  408: 'deadline_exceeded',
  // The receiver is still at work on the same id.
  409: 'unavailable',
  410: 'not_found',
  425: 'unavailable',
  429: 'resource_exhausted',
};

/**
 * Posts alarms, and what else it is to take, as CloudEvents 1.0 in structured JSON, signed as in the Standard Webhooks specification: `webhook-signature` is `v1,` and
 * the base64 HMAC-SHA256 of `{webhook-id}.{webhook-timestamp}.{body}`. `Idempotency-Key` equals the event's id. Redirects are not
 * followed: a receiver could lead the platform to addresses that only it can reach.
 */
export class WebhookNotifier implements Notifier {
  readonly name: string;
  readonly takes: ReadonlySet<NoticeKind>;
  readonly #config: WebhookNotifierConfig;
  readonly #clock: Clock;
  readonly #closing = new AbortController();

  constructor(config: WebhookNotifierConfig, clock: Clock) {
    this.name = config.name;
    this.takes = new Set(config.events);
    this.#config = config;
    this.#clock = clock;
  }

  async send({ id, notice }: Notification, { signal }: CallOptions = {}): Promise<void> {
    throwIfAborted(signal);
    if (this.#closing.signal.aborted) throw new PortError('failed_precondition', 'the webhook notifier is closed');
    if (!isTaken(notice, this.takes))
      throw new PortError('invalid_argument', `the webhook takes events of ${[...this.takes].join(', ')} alone`);
    const body = JSON.stringify(cloudEvent(id, notice, this.#config.publicUrl));
    const response = await this.#post(id, body, signal);
    await response.body?.cancel().catch(() => undefined);
    const { status } = response;
    if (status >= 200 && status < 300) return;
    if (status >= 300 && status < 400) {
      throw new PortError('failed_precondition', `the webhook answered ${status}; give its final address`);
    }
    const code = CODE_BY_STATUS[status] ?? (status >= 500 ? 'unavailable' : 'invalid_argument');
    throw new PortError(code, `the webhook answered ${status}`);
  }

  async close(): Promise<void> {
    this.#closing.abort();
  }

  async #post(id: string, body: string, signal: AbortSignal | undefined): Promise<Response> {
    const { url, timeoutMs } = this.#config;
    const timestamp = Math.floor(this.#clock.nowMs() / 1000);
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      return await fetch(url, {
        method: 'POST',
        redirect: 'manual',
        headers: {
          'content-type': 'application/cloudevents+json; charset=utf-8',
          'user-agent': 'tribo',
          'idempotency-key': id,
          'webhook-id': id,
          'webhook-timestamp': String(timestamp),
          'webhook-signature': `v1,${this.#sign(`${id}.${timestamp}.${body}`)}`,
        },
        body,
        signal: AbortSignal.any([timeout, this.#closing.signal, ...(signal ? [signal] : [])]),
      });
    } catch (error) {
      throwIfAborted(signal);
      if (timeout.aborted) {
        throw new PortError('deadline_exceeded', `the webhook did not answer within ${timeoutMs} ms`, { cause: error });
      }
      const reason = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
      throw new PortError('unavailable', `the webhook cannot be reached: ${reason}`, { cause: error });
    }
  }

  #sign(content: string): string {
    return createHmac('sha256', this.#config.secret).update(content).digest('base64');
  }
}
