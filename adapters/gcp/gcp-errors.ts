import type { PortErrorCode } from '#core/errors.ts';
import { codeOfStatus } from '../cloud-call.ts';

/** What the reasons of Google's JSON services mean, where the status of the answer does not say it. */
const CODES: Readonly<Record<string, PortErrorCode>> = {
  authError: 'permission_denied',
  backendError: 'unavailable',
  conditionNotMet: 'already_exists',
  internalError: 'unavailable',
  quotaExceeded: 'resource_exhausted',
  rateLimitExceeded: 'resource_exhausted',
  required: 'permission_denied',
  userRateLimitExceeded: 'resource_exhausted',
};

const CODE_OF_GRPC: Readonly<Record<number, PortErrorCode>> = {
  1: 'cancelled',
  2: 'unavailable',
  3: 'invalid_argument',
  4: 'deadline_exceeded',
  5: 'not_found',
  6: 'already_exists',
  7: 'permission_denied',
  8: 'resource_exhausted',
  9: 'failed_precondition',
  10: 'unavailable',
  11: 'invalid_argument',
  12: 'unimplemented',
  13: 'unavailable',
  14: 'unavailable',
  15: 'data_loss',
  16: 'permission_denied',
};

/** The code of an error of the SDK: of gRPC's by its number, of the JSON services by reason and else status, and else the network's. */
export function codeOfGcpError(error: unknown): PortErrorCode {
  if (!(error instanceof Error)) return 'internal';
  if (isOfSignIn(error)) return codeOfSignIn(error);
  const { code, errors } = error as { readonly code?: unknown; readonly errors?: unknown };
  const status = Number(code);
  const known = CODE_OF_GRPC[status] ?? CODES[reasonOf(errors) ?? ''];
  return known ?? codeOfStatus(status >= 100 ? status : undefined, error);
}

/**
 * The code of what the library of credentials throws. Whatever it is, it is of this process and not of what was asked: a 400 too, such as
 * `invalid_grant` for a key that was revoked, a federated token that has expired, or a clock that is off.
 */
export function codeOfSignIn(error: unknown): PortErrorCode {
  if (error instanceof Error && error.message.includes(NO_CREDENTIALS)) return 'permission_denied';
  const { status, code } = (error ?? {}) as { readonly status?: unknown; readonly code?: unknown };
  const answered = Number(status ?? code);
  return answered >= 400 && answered < 500 ? 'permission_denied' : 'unavailable';
}

/** What the library says of itself, what gRPC says of it, or an error as RFC 6749 (5.2) has it: the services' own have an object there. */
function isOfSignIn(error: Error): boolean {
  const { response } = error as { readonly response?: { readonly data?: { readonly error?: unknown } } };
  return SIGN_IN.some((said) => error.message.includes(said)) || typeof response?.data?.error === 'string';
}

const NO_CREDENTIALS = 'Could not load the default credentials';
const SIGN_IN = [NO_CREDENTIALS, 'Could not refresh access token', 'Getting metadata from plugin failed'];

function reasonOf(errors: unknown): string | undefined {
  return Array.isArray(errors) ? (errors as readonly { readonly reason?: string }[])[0]?.reason : undefined;
}
