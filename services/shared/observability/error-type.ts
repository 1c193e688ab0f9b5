import { isPortError } from '#core/errors.ts';

/** OpenTelemetry's `error.type`: the code of a port's error, and `_OTHER` for what no port may throw. */
export function errorTypeOf(error: unknown): string {
  return isPortError(error) ? error.code : '_OTHER';
}
