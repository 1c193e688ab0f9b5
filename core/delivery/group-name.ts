import { isName } from '../domain/ids.ts';
import { PortError } from '../errors.ts';

/** @throws PortError invalid_argument for what cannot name a consumer group. */
export function checkGroupName(group: string): void {
  if (isName(group)) return;
  const got = JSON.stringify(group).slice(0, 100);
  throw new PortError('invalid_argument', `a group is named with 1 to 64 of A-Z a-z 0-9 _ . -, got ${got}`);
}
