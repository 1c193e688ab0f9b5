import type { Registry } from 'prom-client';
import { systemClock } from '#core/clock.ts';
import { hostNamesOf } from '../config/addresses.ts';
import type { Configuration } from '../config/settings.ts';
import { serveOperation } from '../http/operation-server.ts';
import { Readiness, type ReadinessCheck } from '../http/readiness.ts';
import type { Logger } from '../observability/logger.ts';
import type { Links } from '../rpc/links.ts';
import { OPERATION_PORT, type ServedOperation } from '../rpc/operation-port.ts';
import { STORE_OWNER } from '../rpc/time-series-port.ts';
import type { Certificates } from '../tls/certificates.ts';
import { renewCertificates } from '../tls/renew-certificates.ts';
import { requirePresentFormat } from './data-format.ts';
import { lockService } from './folder-locks.ts';
import { processOf } from './process-mark.ts';
import type { RunningService } from './run-service.ts';
import { publishAddress, type ServiceAddress } from './service-address.ts';

/** A service that runs, and why it cannot do its work now. */
export interface ReadyService extends RunningService {
  readonly readiness: Readonly<Record<string, ReadinessCheck>>;
  /** What somebody has to look at although it works. */
  readonly attention?: Readonly<Record<string, ReadinessCheck>>;
}

/** What a process has besides its service; closed last. */
interface OwnRuntime extends RunningService {
  readonly configuration: Pick<Configuration, 'dataDir' | 'operationPort'> & Partial<Pick<Configuration, 'hostNames'>>;
  readonly logger: Logger;
  readonly metrics: Registry;
  /** Where it has servers for devices or people. */
  readonly certificates?: Certificates;
  /** Where it is a service of the platform. */
  readonly links?: Links;
}

/** Services that run apart are started at once, and each needs the store from the beginning. */
const STORE_WITHIN_MS = 120_000;

/** A service as a process of its own. Closing it closes the service, and then all that the process had opened. */
export interface ServiceAlone<Service> extends RunningService {
  readonly service: Service;
  /** Of `/health/live`, `/health/ready` and `/metrics`. */
  readonly operationUrl: string;
}

/**
 * Starts a service as all of a process: on a runtime of the process's own, with health and metrics on loopback, at an address that is published
 * in the data folder, and a lock there for as long as it runs. What was opened is closed again when the start fails; a data folder of another
 * format, and one on which the service runs already, is left alone.
 */
export async function composeAlone<Runtime extends OwnRuntime, Service extends ReadyService>(
  name: string,
  runtime: Runtime,
  start: (runtime: Runtime) => Promise<Service>,
  addressOf: (service: Service) => Pick<ServiceAddress, 'url' | 'mqttPort'> = () => ({}),
): Promise<ServiceAlone<Service>> {
  const { configuration, metrics, logger, certificates, links } = runtime;
  const parts = new AsyncDisposableStack();
  let unlock: () => void = () => undefined;
  // After all that it guards.
  parts.defer(() => unlock());
  parts.defer(() => runtime.close());
  try {
    requirePresentFormat(configuration.dataDir);
    unlock = await lockService(configuration.dataDir, name);
    if (name !== STORE_OWNER) await links?.reach(STORE_OWNER, STORE_WITHIN_MS);
    const service = await start(runtime);
    parts.defer(() => service.close());
    const readiness = new Readiness(service.readiness, systemClock, service.attention);
    if (links?.isApart) {
      const served = await links.serve(OPERATION_PORT, { report: () => readiness.report() } satisfies ServedOperation);
      parts.defer(() => served.close());
    }
    const operation = parts.use(
      await serveOperation({
        port: configuration.operationPort,
        hostNames: hostNamesOf(configuration),
        readiness,
        metrics,
      }),
    );
    const address = { pid: process.pid, ...processOf(process.pid), operationUrl: operation.url, ...addressOf(service) };
    parts.defer(publishAddress(configuration.dataDir, name, address));
    logger.info({ url: operation.url }, 'health and metrics');
    return {
      service,
      operationUrl: operation.url,
      ...(certificates && { renewCertificates: () => renewCertificates(certificates, logger) }),
      close: () => parts.disposeAsync(),
    };
  } catch (error) {
    await parts.disposeAsync();
    throw error;
  }
}
