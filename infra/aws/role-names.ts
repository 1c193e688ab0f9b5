import type { Names } from '../names.ts';

const MAX_ROLE_NAME = 64;

/** Of the role of a service, with the rights of its adapters. */
export function taskRoleName(names: Names, service: string): string {
  return names.of(service, MAX_ROLE_NAME);
}

/** Of the role that starts tasks: fetches images and secrets, and writes logs. */
export function executionRoleName(names: Names): string {
  return names.of('task-start', MAX_ROLE_NAME);
}
