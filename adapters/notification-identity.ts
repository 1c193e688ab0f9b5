import { createHash } from 'node:crypto';

/** The header of mails whose service gives each attempt a Message-ID of its own: `notificationIdentity`. */
export const IDENTITY_HEADER = 'X-Notification-ID';

/** The id of a notification, where only letters and digits go: 32 of 0-9 a-f, the same again for the same one. */
export function notificationIdentity(id: string): string {
  return createHash('sha256').update(id).digest('hex').slice(0, 32);
}
