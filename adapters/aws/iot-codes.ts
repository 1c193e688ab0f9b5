import type { AwsCodes } from './aws-errors.ts';

/** What errors of IoT Core mean beyond those of all services. */
export const IOT_CODES: AwsCodes = {
  CertificateStateException: 'failed_precondition',
  DeleteConflictException: 'failed_precondition',
  InternalFailureException: 'unavailable',
  InvalidRequestException: 'invalid_argument',
  MalformedPolicyException: 'invalid_argument',
  RequestEntityTooLargeException: 'invalid_argument',
  ResourceAlreadyExistsException: 'already_exists',
  ServiceUnavailableException: 'unavailable',
  UnauthorizedException: 'permission_denied',
  VersionConflictException: 'unavailable',
};
