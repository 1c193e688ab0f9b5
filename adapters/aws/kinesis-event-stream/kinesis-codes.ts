import type { AwsCodes } from '../aws-errors.ts';

/** What errors of Kinesis mean beyond those of all services. */
export const KINESIS_CODES: AwsCodes = {
  ExpiredIteratorException: 'failed_precondition',
  InvalidArgumentException: 'invalid_argument',
  KMSAccessDeniedException: 'permission_denied',
  KMSDisabledException: 'failed_precondition',
  KMSInvalidStateException: 'failed_precondition',
  KMSNotFoundException: 'failed_precondition',
  KMSOptInRequired: 'permission_denied',
  KMSThrottlingException: 'resource_exhausted',
  ResourceInUseException: 'unavailable',
};
