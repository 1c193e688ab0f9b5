import type { ServiceSize } from '../../core/decision/demand.ts';
import { mostCopies } from '../copies.ts';
import { PUBLIC_SERVICE, SERVICE_PORTS } from '../service-ports.ts';
import { isKubernetes, type Site } from '../site.ts';

/** Whether a service reads what devices send: brokers know the platform by one name, which two copies would take from each other. */
export function isGateway(service: string): boolean {
  return SERVICE_PORTS[service]!.includes('deviceGateway');
}

/** Copies of a service under load: Cloud Run adds some by calls, so to the API alone; a cluster by CPU, but to the gateway. */
export function mostCopiesAt(site: Pick<Site, 'environment'>, size: ServiceSize): number {
  const grows = isKubernetes(site) ? !isGateway(size.service) : size.service === PUBLIC_SERVICE;
  return grows ? mostCopies(size) : size.copies;
}
