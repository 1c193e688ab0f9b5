import { createTransport, type Transporter } from 'nodemailer';
import { alarmMail } from '#core/alerting/alarm-mail.ts';
import { isPortError, PortError, throwIfAborted, type CallOptions, type PortErrorCode } from '#core/errors.ts';
import { isAlarmNotice, type NoticeKind } from '#core/ports/alarm-journal.ts';
import type { Notification, Notifier } from '#core/ports/notifier.ts';
import { notificationIdentity } from '../../notification-identity.ts';
import type { SmtpNotifierConfig } from './config.ts';

/** nodemailer's own codes; an answer of the server (4xx: later, 5xx: never) comes first. */
const CODE_BY_ERROR: Readonly<Record<string, PortErrorCode>> = {
  EAUTH: 'permission_denied',
  ENOAUTH: 'permission_denied',
  ETLS: 'failed_precondition',
  EREQUIRETLS: 'failed_precondition',
  ETIMEDOUT: 'deadline_exceeded',
  EENVELOPE: 'invalid_argument',
  EMESSAGE: 'invalid_argument',
};

/** Mails alarms, one connection a mail: they are few. Credentials are only sent over TLS, or to this machine itself. */
export class SmtpNotifier implements Notifier {
  readonly name: string;
  readonly takes: ReadonlySet<NoticeKind> = new Set(['alarm']);
  readonly #config: SmtpNotifierConfig;
  readonly #transport: Transporter;
  #closed = false;

  constructor(config: SmtpNotifierConfig) {
    this.name = config.name;
    this.#config = config;
    const { protocol, hostname, port, username, password } = new URL(config.url);
    const secure = protocol === 'smtps:';
    this.#transport = createTransport({
      host: hostname,
      port: port === '' ? (secure ? 465 : 587) : Number(port),
      secure,
      requireTLS: !secure && username !== '' && !isThisMachine(hostname),
      ...(username !== '' && { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } }),
      connectionTimeout: config.timeoutMs,
      greetingTimeout: config.timeoutMs,
      socketTimeout: config.timeoutMs,
      disableFileAccess: true,
      disableUrlAccess: true,
    });
  }

  async send({ id, notice }: Notification, { signal }: CallOptions = {}): Promise<void> {
    throwIfAborted(signal);
    if (this.#closed) throw new PortError('failed_precondition', 'the mail notifier is closed');
    if (!isAlarmNotice(notice)) throw new PortError('invalid_argument', 'mails tell of alarms alone');
    const { from, to, publicUrl } = this.#config;
    const sending = this.#transport.sendMail({
      from,
      to,
      ...alarmMail(notice, publicUrl),
      messageId: `<${notificationIdentity(id)}@${from.slice(from.indexOf('@') + 1)}>`,
      headers: { 'Auto-Submitted': 'auto-generated' },
    });
    try {
      await untilAborted(sending, signal);
    } catch (error) {
      throw smtpPortError(error);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#transport.close();
  }
}

function isThisMachine(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127(\.\d+){3}$/.test(host);
}

/** The mail may still go out after an abort: abort means "stop waiting". */
async function untilAborted(sending: Promise<unknown>, signal: AbortSignal | undefined): Promise<void> {
  if (!signal) {
    await sending;
    return;
  }
  const aborted = Promise.withResolvers<never>();
  const onAbort = () =>
    aborted.reject(new PortError('cancelled', 'the caller stopped waiting', { cause: signal.reason }));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await Promise.race([sending, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
    sending.catch(() => undefined);
  }
}

function smtpPortError(error: unknown): PortError {
  if (isPortError(error)) return error;
  const { code, responseCode, message } = error as {
    readonly code?: unknown;
    readonly responseCode?: unknown;
    readonly message?: unknown;
  };
  return new PortError(codeOf(code, responseCode), `the mail server: ${String(message)}`, { cause: error });
}

function codeOf(code: unknown, responseCode: unknown): PortErrorCode {
  const known = typeof code === 'string' ? CODE_BY_ERROR[code] : undefined;
  if (known === 'permission_denied') return known;
  if (typeof responseCode === 'number' && responseCode >= 400) {
    return responseCode < 500 ? 'unavailable' : 'invalid_argument';
  }
  return known ?? 'unavailable';
}
