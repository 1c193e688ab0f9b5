import type { Logger } from '../observability/logger.ts';
import type { Certificates } from './certificates.ts';

/** What SIGHUP asks for: the certificate files are read again. Files that cannot be used are told in the log, and nothing changes. */
export function renewCertificates(certificates: Certificates, logger: Logger): void {
  try {
    certificates.renew();
    logger.info('the certificate files were read again');
  } catch (error) {
    logger.error({ err: error }, 'the certificate files cannot be used: the former certificate stays in use');
  }
}
