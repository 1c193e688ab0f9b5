import { isPortError, PortError, type PortErrorCode } from '#core/errors.ts';

const CODES: Readonly<Record<string, PortErrorCode>> = {
  ENOSPC: 'resource_exhausted',
  EDQUOT: 'resource_exhausted',
  EMFILE: 'unavailable',
  ENFILE: 'unavailable',
  EIO: 'unavailable',
  EACCES: 'permission_denied',
  EPERM: 'permission_denied',
  EROFS: 'failed_precondition',
  ENOTDIR: 'invalid_argument',
  EISDIR: 'invalid_argument',
  ENAMETOOLONG: 'invalid_argument',
  ABORT_ERR: 'cancelled',
};

/** Runs file operations and turns what the operating system says into a port error about that key. */
export async function fileError<Result>(key: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (isPortError(error)) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? '';
    throw new PortError(CODES[code] ?? 'internal', `${key}: ${(error as Error).message}`, { cause: error });
  }
}

export function isCode(error: unknown, ...codes: readonly string[]): boolean {
  return codes.includes((error as NodeJS.ErrnoException).code ?? '');
}
