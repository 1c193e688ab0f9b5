import { z } from 'zod';

/**
 * Every error, as RFC 9457 problem details (`application/problem+json`). `type` is stable: branch on it. Its last part is one of
 * {@link PROBLEM_TYPES}.
 */
export const problemSchema = z
  .object({
    type: z
      .string()
      .meta({ description: 'Stable name of the kind of problem', examples: ['urn:tribo:problem:invalid-request'] }),
    title: z.string().meta({ description: 'The kind of problem in words' }),
    status: z.int().meta({ description: 'The HTTP status' }),
    detail: z.string().meta({ description: 'What went wrong this time' }),
    remedy: z.string().meta({ description: 'What to do about it' }),
    pointer: z
      .string()
      .optional()
      .meta({
        description: 'The offending part: a JSON pointer into the body, or `query:name`, `path:name`, `header:name`',
        examples: ['/messages/0/metrics/temperature'],
      }),
    errors: z
      .array(z.object({ pointer: z.string(), detail: z.string() }))
      .optional()
      .meta({ description: 'All offending parts where there are several, at most 20' }),
    retryAfterSeconds: z
      .number()
      .optional()
      .meta({ description: 'When to try again; the Retry-After header says the same' }),
    traceId: z.string().optional().meta({ description: 'Give this to whoever runs the platform' }),
  })
  .meta({ id: 'Problem' });

export type Problem = z.infer<typeof problemSchema>;

/** Status and title of each problem type. */
export const PROBLEM_TYPES = {
  'malformed-request': { status: 400, title: 'Not an HTTP request' },
  'misdirected-request': { status: 421, title: 'This server is not known by that name' },
  'request-timeout': { status: 408, title: 'The request took too long to come' },
  'headers-too-large': { status: 431, title: 'The headers are too large' },
  'malformed-json': { status: 400, title: 'The body is not JSON' },
  'nesting-too-deep': { status: 400, title: 'The body is nested too deeply' },
  'invalid-request': { status: 422, title: 'The request is not valid' },
  'invalid-cursor': { status: 400, title: 'The cursor is not one of this list' },
  unauthenticated: { status: 401, title: 'Nobody is signed in' },
  'sign-in-code-invalid': { status: 401, title: 'The sign-in link is used up or too old' },
  'sign-in-attempt-invalid': { status: 401, title: 'The sign-in was not begun in this browser, is used up or too old' },
  'sign-in-cancelled': { status: 403, title: 'The sign-in was given up' },
  'sign-in-not-permitted': { status: 403, title: 'The account has no role here' },
  'sign-in-unavailable': { status: 503, title: 'Where people sign in does not answer, or refuses this platform' },
  forbidden: { status: 403, title: 'Not allowed' },
  'csrf-token-missing': { status: 403, title: 'The CSRF token is missing or wrong' },
  'not-found': { status: 404, title: 'There is no such thing' },
  'method-not-allowed': { status: 405, title: 'The method is not allowed here' },
  'not-acceptable': { status: 406, title: 'No such representation' },
  conflict: { status: 409, title: 'In conflict with what is there' },
  'ambiguous-machine': { status: 409, title: 'Several sites have a machine of that name' },
  'idempotency-key-reused': { status: 422, title: 'The Idempotency-Key was used for another request' },
  'idempotency-key-in-progress': { status: 409, title: 'The same request is still being worked on' },
  'precondition-failed': { status: 412, title: 'It was changed in the meantime' },
  'precondition-required': { status: 428, title: 'The request must say what it expects to change' },
  'body-too-large': { status: 413, title: 'The body is too large' },
  'unsupported-media-type': { status: 415, title: 'The content type is not supported' },
  'rate-limited': { status: 429, title: 'Too many requests' },
  overloaded: { status: 429, title: 'The platform takes no more for now' },
  unimplemented: { status: 501, title: 'Not available at this site' },
  unavailable: { status: 503, title: 'Not available now' },
  'deadline-exceeded': { status: 504, title: 'It took too long' },
  internal: { status: 500, title: 'A fault of the platform' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ProblemType = keyof typeof PROBLEM_TYPES;
