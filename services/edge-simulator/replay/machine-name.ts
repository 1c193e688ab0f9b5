import { isName } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';

/** A name of wire.md from whatever a data set calls its machine: other characters become hyphens. */
export function machineName(prefix: string, text: string): string {
  const name = `${prefix}${text.trim().replaceAll(/[^A-Za-z0-9_.-]+/g, '-')}`;
  if (isName(name)) return name;
  throw new PortError(
    'invalid_argument',
    `${JSON.stringify(name)} cannot name a machine: names have 1 to 64 of A-Z a-z 0-9 _ . - ; use a shorter --machine-prefix`,
  );
}
