import type { Names } from '../names.ts';

/** What Google takes as the id of a service account: 6 to 30 letters, digits and hyphens. */
const MAX_LENGTH = 30;

/** `tribo-gent-dev-ci`. */
export function serviceAccountId(names: Names, part: string): string {
  return names.of(part, MAX_LENGTH);
}
