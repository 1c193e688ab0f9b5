import type { ServiceSize } from '../../core/decision/demand.ts';
import { mostCopies, ROLLOUT_TIMES } from '../copies.ts';
import { PUBLIC_SERVICE, SERVICE_PORTS } from '../service-ports.ts';
import { isKubernetes, type Site } from '../site.ts';

/** Whether a service reads what devices send: brokers know the platform by one name, which two copies would take from each other. */
export function isGateway(service: string): boolean {
  return SERVICE_PORTS[service]!.includes('deviceGateway');
}

/**
 * Copies of a service under load while a release is rolled out: Cloud Run adds some by calls, so to the API alone; a cluster by CPU, but to the gateway,
 * which it stops before it begins another.
 */
export function mostCopiesAt(site: Pick<Site, 'environment'>, size: ServiceSize): number {
  if (isKubernetes(site)) return isGateway(size.service) ? size.copies : mostCopies(size) * ROLLOUT_TIMES;
  return (size.service === PUBLIC_SERVICE ? mostCopies(size) : size.copies) * ROLLOUT_TIMES;
}
