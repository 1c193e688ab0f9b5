import type { PortErrorCode } from '../errors.ts';

/** For `assert.rejects`: whether it is a PortError of this code. By name, so that it may come from another copy of this module. */
export function failsWith(code: PortErrorCode): (error: unknown) => boolean {
  return (error) => error instanceof Error && error.name === 'PortError' && 'code' in error && error.code === code;
}
