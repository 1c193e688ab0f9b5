import { PortError } from '#core/errors.ts';
import { isLoopback } from './addresses.ts';

/** @throws PortError failed_precondition: secrets and readings do not leave the machine in the clear by accident. */
export function requireSafeListening({
  host,
  tls,
  insecure,
}: {
  readonly host: string;
  readonly tls?: object | undefined;
  readonly insecure: boolean;
}): void {
  if (tls || insecure || isLoopback(host)) return;
  throw new PortError(
    'failed_precondition',
    `host ${host} is not loopback, and there is no TLS: set TRIBO_TLS_CERT and TRIBO_TLS_KEY, listen on 127.0.0.1, or (only behind something that ends TLS) start with --insecure`,
  );
}
