import { isPortError, type PortErrorCode } from '../errors.ts';

/** For `assert.rejects`: whether it is a PortError of one of these codes. */
export function failsWith(...codes: readonly PortErrorCode[]): (error: unknown) => boolean {
  return (error) => isPortError(error) && codes.includes(error.code);
}
