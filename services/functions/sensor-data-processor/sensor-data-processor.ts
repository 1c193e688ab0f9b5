import { z } from 'zod';
import { PortError } from '#core/errors.ts';
import type { RelayedMessage, RelayedMessages } from '#core/ingestion/relayed-message.ts';

/** A message, and when whoever was told of it first had it. */
export interface RelayedAt extends RelayedMessage {
  readonly atMs: number;
}

/** Resolves once all of them are where intake reads. Makes one attempt. @throws PortError as an event stream does. */
export type Relay = (messages: readonly RelayedAt[]) => Promise<void>;

/** What whoever asked for the function by itself is told. */
export interface Answer {
  readonly statusCode: 200;
  readonly body: 'Processed successfully';
}

/** Of what SNS calls a function with, what is read here. */
const eventSchema = z.object({
  Records: z
    .array(z.object({ Sns: z.object({ Message: z.string(), Timestamp: z.iso.datetime().optional() }) }))
    .min(1)
    .max(100),
});

/**
 * Hands readings that were published to a topic to the platform's intake, which admits them, finds what came before, and counts them in the ledger
 * as it does what devices send; rules judge them once they are stored. Throws where a message names no device or could not be handed on, so that
 * whoever called tries again and keeps it in the end: what was handed on already is found to be a duplicate then.
 */
export function sensorDataProcessor(messages: RelayedMessages, relay: Relay, nowMs: () => number) {
  return async (event: unknown): Promise<Answer> => {
    const { Records } = notificationsOf(event);
    const problems: unknown[] = [];
    const readable = Records.flatMap(({ Sns: { Message, Timestamp } }): readonly RelayedAt[] => {
      try {
        return [{ ...messages.read(Message), atMs: Timestamp === undefined ? nowMs() : Date.parse(Timestamp) }];
      } catch (error) {
        problems.push(error);
        return [];
      }
    });
    if (readable.length > 0) await relay(readable);
    // One message of several must not keep the others back.
    if (problems.length > 0) throw problems[0];
    return { statusCode: 200, body: 'Processed successfully' };
  };
}

function notificationsOf(event: unknown): z.infer<typeof eventSchema> {
  const { data, error } = eventSchema.safeParse(event);
  if (data) return data;
  const [{ path, message }] = error.issues as [z.core.$ZodIssue];
  throw new PortError(
    'invalid_argument',
    `the event is no notification of SNS: ${path.join('.') || 'Records'}: ${message}; call it by a subscription to its topic`,
    { cause: error },
  );
}
