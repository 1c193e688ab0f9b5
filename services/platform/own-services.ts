import { wireAlertEngine } from '#services/alert-engine/composition.ts';
import { wireApiGateway } from '#services/api-gateway/composition.ts';
import { startSimulator } from '#services/edge-simulator/composition.ts';
import { wireFeatureService } from '#services/feature-service/composition.ts';
import { wireIngestion } from '#services/ingestion-service/composition.ts';
import { wireMlService } from '#services/ml-service/composition.ts';
import type { ServiceRuntime } from '#services/shared/composition.ts';
import { platformAddresses, portOf } from '#services/shared/config/addresses.ts';
import { lockService } from '#services/shared/process/folder-locks.ts';
import type { RunningService } from '#services/shared/process/run-service.ts';
import { renewCertificates } from '#services/shared/tls/renew-certificates.ts';
import { demoOptions, registerDemoPlant } from './demo-plant.ts';
import type { StartedPlatform } from './platform.ts';
import type { Supervised } from './supervisor.ts';

/** Those that run in the platform's own process unless it is split. */
const OWN_SERVICES = ['alert-engine', 'ml-service', 'feature-service', 'ingestion-service', 'api-gateway'] as const;

/** Starts all services but the store in this process; each is stopped when `opened` is, in the other order. */
export async function startOwnServices(
  runtime: ServiceRuntime,
  opened: AsyncDisposableStack,
  signal: AbortSignal,
  storeProcess: Supervised,
): Promise<StartedPlatform> {
  const { configuration, logger, store, certificates } = runtime;
  const running = async <Service extends RunningService>(starting: Promise<Service>): Promise<Service> => {
    const service = await starting;
    opened.defer(() => service.close());
    signal.throwIfAborted();
    return service;
  };
  for (const service of OWN_SERVICES) opened.defer(await lockService(configuration.dataDir, service));
  const alertEngine = await running(wireAlertEngine(runtime));
  const ml = await running(wireMlService(runtime));
  const features = await running(wireFeatureService(runtime));
  const ingestion = await running(wireIngestion(runtime));
  const { mqttPort } = ingestion;
  const refused = async () => ingestion.refused();
  const gateway = await running(
    wireApiGateway(
      runtime,
      { ...ingestion, refused, commands: ingestion.gateway, alerting: alertEngine },
      {
        ...ingestion.readiness,
        ...features.readiness,
        ...ml.readiness,
        ...alertEngine.readiness,
        'timeseries-service': async () => (storeProcess.ready() ? store.problem() : 'it is being started again'),
      },
      { ...ingestion.attention, ...alertEngine.attention },
    ),
  );
  const addresses = platformAddresses(configuration, certificates.current, { httpPort: portOf(gateway.url), mqttPort });
  if (configuration.demo) {
    const device = await registerDemoPlant(runtime);
    const simulator = await startSimulator(demoOptions(runtime, device, addresses.here));
    opened.defer(() => simulator.stop());
  }
  return {
    addresses,
    mqttPort,
    signInLink: () => gateway.signInLink(),
    renewCertificates: () => renewCertificates(certificates, logger),
  };
}
