import { createHash } from 'node:crypto';
import { isName } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';

const HASHED = /-x[0-9a-f]{16}$/;

/** What any secret store refuses before it asks anybody. The messages never have a value in them. @throws PortError invalid_argument */
export function checkSecret(name: string, value?: string): void {
  if (!isName(name) || name.startsWith('.'))
    throw new PortError(
      'invalid_argument',
      `a secret's name is 1 to 64 of A-Z a-z 0-9 _ . - and does not begin with a dot, got ${JSON.stringify(name.slice(0, 100))}`,
    );
  if (value === '') throw new PortError('invalid_argument', `the value of secret ${name} is empty: delete it instead`);
}

/**
 * The name of a secret where the store allows fewer characters: as it is when it `fits`, and else with dashes for what does not fit, small, and
 * the begin of its SHA-256 behind `-x`, so that no two names become one. At most 82 characters.
 */
export function plainSecretName(name: string, fits: RegExp): string {
  if (fits.test(name) && !HASHED.test(name)) return name;
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 16);
  return `${name.toLowerCase().replaceAll(/[^a-z0-9-]/g, '-')}-x${digest}`;
}
