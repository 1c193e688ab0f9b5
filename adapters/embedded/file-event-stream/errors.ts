import { isPortError, PortError, type PortErrorCode } from '#core/errors.ts';

/** The operating system's codes; what is not listed is `internal`. */
const CODE_BY_ERRNO: Readonly<Record<string, PortErrorCode>> = {
  ENOSPC: 'resource_exhausted',
  EDQUOT: 'resource_exhausted',
  EFBIG: 'resource_exhausted',
  EMFILE: 'unavailable',
  ENFILE: 'unavailable',
  ENOMEM: 'unavailable',
  EIO: 'unavailable',
  EACCES: 'permission_denied',
  EPERM: 'permission_denied',
  EROFS: 'permission_denied',
  ENOTDIR: 'failed_precondition',
  EISDIR: 'failed_precondition',
};

/** Gives an error of a file operation its code; leaves a PortError as it is. */
export function filePortError(error: unknown, doing: string): PortError {
  if (isPortError(error)) return error;
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown };
  const portCode = typeof code === 'string' ? CODE_BY_ERRNO[code] : undefined;
  return new PortError(portCode ?? 'internal', `${doing} failed: ${String(message)}`, { cause: error });
}

/** By code alone, because an error of Node's own modules may come from another realm than ours. */
export function isMissing(error: unknown): boolean {
  return (error as { readonly code?: unknown } | undefined)?.code === 'ENOENT';
}
