import { isPortError, PortError, type PortErrorCode } from '#core/errors.ts';

/** SQLite's primary result codes (sqlite.org/rescode.html) as port errors; what is not listed is `internal`. */
const CODE_BY_RESULT: Readonly<Record<number, PortErrorCode>> = {
  3: 'permission_denied', // SQLITE_PERM
  5: 'unavailable', // SQLITE_BUSY: another process held the lock longer than busy_timeout
  6: 'unavailable', // SQLITE_LOCKED
  8: 'permission_denied', // SQLITE_READONLY
  10: 'unavailable', // SQLITE_IOERR
  11: 'data_loss', // SQLITE_CORRUPT
  13: 'resource_exhausted', // SQLITE_FULL
  14: 'failed_precondition', // SQLITE_CANTOPEN
  18: 'invalid_argument', // SQLITE_TOOBIG
  19: 'failed_precondition', // SQLITE_CONSTRAINT but for the unique ones
  26: 'data_loss', // SQLITE_NOTADB
};

const CONSTRAINT_PRIMARY_KEY = 1555;
const CONSTRAINT_UNIQUE = 2067;

/** Gives an error of `node:sqlite` its code; leaves a PortError as it is. */
export function sqlitePortError(error: unknown): PortError {
  if (isPortError(error)) return error;
  if (!isError(error)) return new PortError('internal', 'the database failed', { cause: error });
  return new PortError(codeOf(error), `SQLite: ${error.message}`, { cause: error });
}

function codeOf(error: Error): PortErrorCode {
  if (!('errcode' in error) || typeof error.errcode !== 'number') {
    return error.message.includes('is not open') ? 'failed_precondition' : 'internal';
  }
  if (error.errcode === CONSTRAINT_PRIMARY_KEY || error.errcode === CONSTRAINT_UNIQUE) return 'already_exists';
  return CODE_BY_RESULT[error.errcode & 0xff] ?? 'internal';
}

/** By shape, because an error of Node's own modules may come from another realm than ours. */
function isError(error: unknown): error is Error {
  return typeof error === 'object' && error !== null && 'message' in error && typeof error.message === 'string';
}
