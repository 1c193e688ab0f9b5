import { isPortError, PortError, type PortErrorCode } from '#core/errors.ts';

/** DuckDB tells its errors apart by text alone; the first pattern that matches decides. */
const CODES: readonly (readonly [RegExp, PortErrorCode])[] = [
  [/no space left|disk (is )?full|not enough space|failed to offload|max_temp_directory_size/i, 'resource_exhausted'],
  [/out of memory|could not allocate/i, 'resource_exhausted'],
  [/interrupt/i, 'cancelled'],
  [/database has been invalidated/i, 'unavailable'],
  [/could not set lock|conflicting lock/i, 'failed_precondition'],
  [/conflict on|transaction conflict|write-write conflict/i, 'unavailable'],
  [/within a transaction|transaction is aborted/i, 'unavailable'],
  [/checksum|corrupt|not a valid duckdb database/i, 'data_loss'],
  [/io error/i, 'unavailable'],
  [/connection (was )?(closed|disconnected)|not connected/i, 'unavailable'],
];

/** The port's error for what DuckDB threw; a port error passes through. `doing` says what failed, for the reader of a log. */
export function portErrorOf(error: unknown, doing: string): PortError {
  if (isPortError(error)) return error;
  const text = messageOf(error);
  const code = CODES.find(([pattern]) => pattern.test(text))?.[1] ?? 'internal';
  return new PortError(code, `${doing}: ${text}`, { cause: error });
}

/** DuckDB serves nothing more after these; or a connection does not, in a transaction that somebody left open. */
const NEEDS_REOPEN =
  /database has been invalidated|fatal error|INTERNAL Error|start a transaction within a transaction|transaction is aborted/i;

/** True where DuckDB serves nothing more until the file is opened again. */
export function needsReopen(error: unknown): boolean {
  if (NEEDS_REOPEN.test(messageOf(error))) return true;
  return isPortError(error) && error.cause !== undefined && needsReopen(error.cause);
}

/** True where only transactions under way forbid a checkpoint. */
export function isCheckpointHeldUp(error: unknown): boolean {
  return messageOf(error).includes('Cannot CHECKPOINT');
}

/** DuckDB's errors are made by native code, perhaps in another realm, so that `instanceof Error` says nothing about them. */
function messageOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : String(error);
}
