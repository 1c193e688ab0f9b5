import type { PortErrorCode } from '../errors.ts';

/** For `assert.rejects`: whether it is a PortError of one of these codes. By name, so that it may come from another copy of this module. */
export function failsWith(...codes: readonly PortErrorCode[]): (error: unknown) => boolean {
  return (error) =>
    error instanceof Error &&
    error.name === 'PortError' &&
    'code' in error &&
    codes.includes(error.code as PortErrorCode);
}
