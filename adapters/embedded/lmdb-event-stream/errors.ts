import { isPortError, PortError, type PortErrorCode } from '#core/errors.ts';

/** LMDB's and the operating system's codes as lmdb-js and Node report them; what is not listed is `internal`. */
const CODE_BY_RESULT: Readonly<Record<number, PortErrorCode>> = {
  1: 'permission_denied', // EPERM
  5: 'unavailable', // EIO, also what LMDB makes of a short write
  12: 'resource_exhausted', // ENOMEM
  13: 'permission_denied', // EACCES
  23: 'unavailable', // ENFILE
  24: 'unavailable', // EMFILE
  28: 'resource_exhausted', // ENOSPC
  30: 'permission_denied', // EROFS
  122: 'resource_exhausted', // EDQUOT
  [-30797]: 'data_loss', // MDB_PAGE_NOTFOUND
  [-30796]: 'data_loss', // MDB_CORRUPTED
  [-30795]: 'unavailable', // MDB_PANIC: the process must be started again
  [-30794]: 'failed_precondition', // MDB_VERSION_MISMATCH
  [-30793]: 'data_loss', // MDB_INVALID: not an LMDB file
  [-30792]: 'resource_exhausted', // MDB_MAP_FULL
  [-30790]: 'resource_exhausted', // MDB_READERS_FULL
  [-30788]: 'resource_exhausted', // MDB_TXN_FULL
};

/** Gives an error of lmdb-js or of the file system its code; leaves a PortError as it is. */
export function lmdbPortError(error: unknown, doing: string): PortError {
  if (isPortError(error)) return error;
  const { code, errno, message } = error as Readonly<Record<'code' | 'errno' | 'message', unknown>>;
  const result = typeof errno === 'number' ? -errno : code;
  const portCode = typeof result === 'number' ? CODE_BY_RESULT[result] : undefined;
  return new PortError(portCode ?? 'internal', `${doing} failed: ${String(message)}`, { cause: error });
}

/** lmdb-js rejects a failed commit with an error whose `commitError` is a promise that rejects with the reason. */
export async function reasonOfFailedCommit(error: unknown): Promise<unknown> {
  const { commitError } = error as { readonly commitError?: Promise<never> };
  if (commitError === undefined) return error;
  try {
    await commitError;
  } catch (reason) {
    return reason;
  }
  return error;
}
