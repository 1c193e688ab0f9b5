/** The code of an error of the operating system or of Node.js, such as ENOENT. Does not rely on the error's class, which differs between realms. */
export function systemErrorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
