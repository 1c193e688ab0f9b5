import { FAMILIES } from '#adapters/providers.ts';

/** Everything that PostgreSQL can hold of a site is there. */
export function inPostgres(): Readonly<Record<string, string>> {
  return Object.fromEntries(FAMILIES['postgres']!.map(({ port }) => [port, 'postgres']));
}
