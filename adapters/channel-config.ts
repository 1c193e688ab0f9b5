import { z } from 'zod';
import { NOTICE_KINDS } from '#core/ports/alarm-journal.ts';

/** Those of the notifiers that a site has besides. */
const EMBEDDED_NAMES = ['log', 'webhook', 'mail'];

/** Settings of every notifier that a ports file names, by what it is called where nothing else is said. */
export function channelShape(name: string) {
  return {
    /** What the outbox, its dead letters and the metrics know it by: one of its own for each. */
    name: z
      .string()
      .regex(/^[A-Za-z0-9_.-]{1,64}$/)
      .refine((given) => !EMBEDDED_NAMES.includes(given), { error: 'is the name of a notifier that is there already' })
      .default(name),
    /** The origin of the page, for links. */
    publicUrl: z.url().optional(),
    /** How long one call may take. */
    timeoutMs: z.int().min(100).max(60_000).default(20_000),
  };
}

/** Of those that other systems listen to. */
export const eventsShape = {
  /** What is published. */
  events: z.array(z.enum(NOTICE_KINDS)).min(1).default(['alarm', 'device']),
};

/** Of those that people read. */
export const mailShape = {
  from: z.email(),
  to: z.array(z.email()).min(1).max(50),
};
