import { isPortError, type PortErrorCode } from '#core/errors.ts';
import { PROBLEM_TYPES, type Problem, type ProblemType } from './problem-types.ts';

/** An answer other than the one asked for; thrown anywhere below a route, and sent as RFC 9457 problem details. */
export class HttpProblem extends Error {
  override readonly name = 'HttpProblem';
  readonly type: ProblemType;
  readonly details: ProblemDetails;

  constructor(type: ProblemType, details: ProblemDetails, options?: ErrorOptions) {
    super(details.detail, options);
    this.type = type;
    this.details = details;
  }

  get status(): number {
    return PROBLEM_TYPES[this.type].status;
  }
}

export type ProblemDetails = Omit<Problem, 'type' | 'title' | 'status' | 'traceId'>;

/** The problem to answer with for whatever was thrown. What is not meant for the caller stays out of it. */
export function problemOf(error: unknown): HttpProblem {
  if (error instanceof HttpProblem) return error;
  if (isPortError(error)) return new HttpProblem(...PORT_ERROR_ANSWERS[error.code](error.message), { cause: error });
  return new HttpProblem('internal', INTERNAL, { cause: error });
}

/** The body of the answer. */
export function problemBody(problem: HttpProblem, traceId?: string): Problem {
  const { title, status } = PROBLEM_TYPES[problem.type];
  return {
    type: `urn:tribo:problem:${problem.type}`,
    title,
    status,
    ...problem.details,
    ...(traceId !== undefined && { traceId }),
  };
}

const INTERNAL: ProblemDetails = {
  detail: 'Something failed that should not have.',
  remedy: 'Tell whoever runs the platform, with the time and the traceId; the log says more.',
};
const RETRY_AFTER_SECONDS = 1;

type Answer = (message: string) => [ProblemType, ProblemDetails];

const PORT_ERROR_ANSWERS: Readonly<Record<PortErrorCode, Answer>> = {
  not_found: (detail) => ['not-found', { detail, remedy: 'Check the name; a list shows what there is.' }],
  already_exists: (detail) => ['conflict', { detail, remedy: 'Choose another name, or change the one that is there.' }],
  invalid_argument: (detail) => ['invalid-request', { detail, remedy: 'Correct the request.' }],
  failed_precondition: (detail) => ['conflict', { detail, remedy: 'Read its present state, then decide again.' }],
  permission_denied: (detail) => ['forbidden', { detail, remedy: 'Ask somebody with the needed role.' }],
  resource_exhausted: (detail) => [
    'overloaded',
    { detail, remedy: 'Try again after the time that Retry-After says.', retryAfterSeconds: RETRY_AFTER_SECONDS },
  ],
  unavailable: () => [
    'unavailable',
    {
      detail: 'A part of the platform that is needed for this does not answer now.',
      remedy: 'Try again shortly; /health/ready says what is missing.',
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    },
  ],
  deadline_exceeded: () => [
    'deadline-exceeded',
    { detail: 'The answer took too long to find.', remedy: 'Ask for less at once, or try again.' },
  ],
  cancelled: () => ['unavailable', { detail: 'The request was given up.', remedy: 'Send it again.' }],
  unimplemented: (detail) => ['unimplemented', { detail, remedy: 'This site has no such part.' }],
  data_loss: () => ['internal', INTERNAL],
  internal: () => ['internal', INTERNAL],
};
