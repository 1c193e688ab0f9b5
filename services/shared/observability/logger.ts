import { pino, type DestinationStream, type Logger, type LevelWithSilent } from 'pino';
import { activeSpanContext } from './trace-context.ts';

export type { Logger } from 'pino';

/** Fields that may hold a secret; a log line shows `[hidden]` in their place. */
const SECRET_FIELDS = ['authorization', 'cookie', 'password', 'secret', 'token', 'code', 'csrfToken'];

export interface LoggerOptions {
  readonly service: string;
  readonly level?: LevelWithSilent;
  /** Where lines go; standard output by default. */
  readonly destination?: DestinationStream;
}

/** JSON lines with the service's name, and with the trace and span that the running code belongs to. */
export function createLogger({ service, level = 'info', destination }: LoggerOptions): Logger {
  const options = {
    level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: {
      paths: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`, `*.headers.${field}`]),
      censor: hidden,
    },
    mixin: traceFields,
  };
  return destination ? pino(options, destination) : pino(options);
}

/** Codes of errors and of refusals, by which people look for causes, are no secrets; those of sign-in links are 43 random characters. */
function hidden(value: unknown, path: readonly unknown[]): unknown {
  return path.at(-1) === 'code' && isErrorCode(value) ? value : '[hidden]';
}

/** Of a port or a refusal, or as Node.js and libraries have them: not_found, ENOSPC, ERR_INVALID_ARG_TYPE. */
function isErrorCode(value: unknown): boolean {
  return typeof value === 'string' && /^(?:[A-Z][A-Z0-9_]{2,39}|[a-z][a-z_]{2,39})$/.test(value);
}

function traceFields(): object {
  const active = activeSpanContext();
  return active ? { traceId: active.traceId, spanId: active.spanId } : {};
}
