import { isPortError, type PortErrorCode } from '#core/errors.ts';

/** What the call gives, or nothing where it fails with that code. */
export async function unless<Result>(code: PortErrorCode, call: Promise<Result>): Promise<Result | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isPortError(error) && error.code === code) return undefined;
    throw error;
  }
}
