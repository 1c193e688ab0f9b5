import { PortError } from '../errors.ts';

const MAX_KEY_LENGTH = 1024;
const SEGMENT = /^[A-Za-z0-9_.=+@-]{1,200}$/;

/**
 * Names of at most 200 characters with `/` between them, 1,024 in all: what a file system and four clouds' object stores all take as it is.
 * @throws PortError invalid_argument for anything else.
 */
export function checkObjectKey(key: string): void {
  const isKey =
    key.length <= MAX_KEY_LENGTH &&
    key.split('/').every((segment) => SEGMENT.test(segment) && segment !== '.' && segment !== '..');
  if (!isKey)
    throw new PortError(
      'invalid_argument',
      `an object's key is names of A-Z a-z 0-9 _ . = + @ - with / between them, got ${JSON.stringify(key.slice(0, 200))}`,
    );
}
