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
  // The library of credentials has no code for this.
  if (error.message.startsWith('Could not load the default credentials')) return 'permission_denied';
  const { code, errors } = error as { readonly code?: unknown; readonly errors?: unknown };
  const status = Number(code);
  const known = CODE_OF_GRPC[status] ?? CODES[reasonOf(errors) ?? ''];
  return known ?? codeOfStatus(status >= 100 ? status : undefined, error);
}

function reasonOf(errors: unknown): string | undefined {
  return Array.isArray(errors) ? (errors as readonly { readonly reason?: string }[])[0]?.reason : undefined;
}
