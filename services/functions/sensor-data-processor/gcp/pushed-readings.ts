import express, { type ErrorRequestHandler, type Express } from 'express';
import { z } from 'zod';
import { retry, type RetryPolicy } from '#core/delivery/retry.ts';
import { isRetryable, messageOf, PortError, codeOf } from '#core/errors.ts';
import type { RelayedMessage, RelayedMessages } from '#core/ingestion/relayed-message.ts';
import type { Logger } from '#services/shared/observability/logger.ts';

/** Resolves once the message is where intake reads. Makes one attempt. @throws PortError as an event stream does. */
export type RelayOne = (message: RelayedMessage) => Promise<void>;

/** A connection that is gone is made anew at once; of a broker that is away Pub/Sub is told, which waits longer from time to time. */
export const PATIENCE: RetryPolicy = { maxAttempts: 3, firstDelayMs: 250, longestDelayMs: 2000 };

/** Of what a broker takes as a message, in base64, and what Pub/Sub says of it. */
const MAX_BODY_BYTES = 512 * 1024;

/** Of what Pub/Sub pushes, what is read here: https://cloud.google.com/pubsub/docs/push#receive_push */
const pushSchema = z.object({ message: z.object({ data: z.base64().default('') }) });

interface Parts {
  readonly messages: RelayedMessages;
  readonly relay: RelayOne;
  readonly patience: RetryPolicy;
  readonly logger: Logger;
}

/**
 * Takes each message that Pub/Sub pushes and hands it to the platform's intake, which admits it, finds what came before, and counts it in the ledger as
 * it does what devices send. Another answer than 204 has Pub/Sub push it again, and keep it in the end: what was handed on already is found to be
 * a duplicate then.
 */
export function pushedReadings({ messages, relay, patience, logger }: Parts): Express {
  const app = express().disable('x-powered-by');
  app.get('/health/live', (_request, response) => void response.json({ status: 'alive' }));
  app.post('/', express.json({ limit: MAX_BODY_BYTES, type: () => true }), async (request, response) => {
    const message = messages.read(textOf(request.body));
    await retry(() => relay(message), patience);
    response.status(204).end();
  });
  const tellFailure: ErrorRequestHandler = (error: unknown, _request, response, _next) => {
    const status = statusOf(error);
    logger.error({ code: codeOf(error), status }, `a reading was not handed on: ${messageOf(error)}`);
    response.status(status).json({ error: { code: codeOf(error), message: messageOf(error) } });
  };
  app.use(tellFailure);
  return app;
}

function textOf(body: unknown): string {
  const { data, error } = pushSchema.safeParse(body);
  if (data) return Buffer.from(data.message.data, 'base64').toString('utf8');
  const [{ path, message }] = error.issues as [z.core.$ZodIssue];
  throw new PortError(
    'invalid_argument',
    `the request is no push of Pub/Sub: ${path.join('.') || 'message'}: ${message}; call it by a push subscription with a wrapper`,
    { cause: error },
  );
}

/** Those of express, which it has for a body that is no JSON or too large, are its own. */
function statusOf(error: unknown): number {
  const { status } = error as { readonly status?: unknown };
  if (typeof status === 'number') return status;
  if (codeOf(error) === 'invalid_argument') return 400;
  return isRetryable(error) ? 503 : 500;
}
