/** The closed set of codes by which callers branch; the meanings follow the canonical RPC codes. */
export const PORT_ERROR_CODES = [
  'not_found',
  'already_exists',
  'invalid_argument',
  'failed_precondition',
  'permission_denied',
  'resource_exhausted',
  'unavailable',
  'deadline_exceeded',
  'cancelled',
  'unimplemented',
  'data_loss',
  'internal',
] as const;

export type PortErrorCode = (typeof PORT_ERROR_CODES)[number];

/** What every port throws. `cause` keeps the library's own error; the message says what, where and the remedy. */
export class PortError extends Error {
  override readonly name = 'PortError';
  readonly code: PortErrorCode;

  constructor(code: PortErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** True for an error with a port error's code, also one that crossed a process boundary and lost its class. */
export function isPortError(error: unknown): error is PortError {
  return (
    error instanceof Error &&
    'code' in error &&
    error.name === 'PortError' &&
    (PORT_ERROR_CODES as readonly unknown[]).includes(error.code)
  );
}

const RETRYABLE: ReadonlySet<PortErrorCode> = new Set(['unavailable', 'deadline_exceeded', 'resource_exhausted']);

/** Whether the same call may succeed later without anybody changing it: decided here, and by code alone. */
export function isRetryable(error: unknown): boolean {
  return isPortError(error) && RETRYABLE.has(error.code);
}

/**
 * Whether it is the service's doing and not that of what was asked: {@link isRetryable}, or it refuses this process whatever is asked, as
 * with a token that has expired. The same call may succeed once somebody has seen to that.
 */
export function isOfService(error: unknown): boolean {
  return isRetryable(error) || (isPortError(error) && error.code === 'permission_denied');
}

/** The code of an error of any kind: `internal` where it has none. */
export function codeOf(error: unknown): PortErrorCode {
  return isPortError(error) ? error.code : 'internal';
}

/** What an error of any kind says of itself. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Throws `cancelled` when the caller has stopped waiting. Abort never says what the server did. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new PortError('cancelled', 'the caller stopped waiting', { cause: signal.reason });
}

/** Every asynchronous port call takes these. */
export interface CallOptions {
  readonly signal?: AbortSignal;
}
