import { fileURLToPath } from 'node:url';
import { seedDefaultRules } from '#core/alerting/default-rules.ts';
import type { TenantId } from '#core/domain/ids.ts';
import { wireAlertEngine } from '#services/alert-engine/composition.ts';
import { wireApiGateway } from '#services/api-gateway/composition.ts';
import { startSimulator } from '#services/edge-simulator/composition.ts';
import { wireFeatureService } from '#services/feature-service/composition.ts';
import { wireIngestion } from '#services/ingestion-service/composition.ts';
import { wireMlService } from '#services/ml-service/composition.ts';
import { openRuntime, type ServiceRuntime } from '#services/shared/composition.ts';
import { platformAddresses, portOf } from '#services/shared/config/addresses.ts';
import type { Configuration } from '#services/shared/config/settings.ts';
import { lockService } from '#services/shared/process/folder-locks.ts';
import { authorityFile } from '#services/shared/tls/authority.ts';
import { renewCertificates } from '#services/shared/tls/renew-certificates.ts';
import type { RunningService } from '#services/shared/process/run-service.ts';
import { childEnvironment } from './child-environment.ts';
import { demoOptions, registerDemoPlant } from './demo-plant.ts';
import type { Platform, StartedPlatform } from './platform.ts';
import { startSplit } from './split-platform.ts';
import { supervise } from './supervisor.ts';

const PROCESS = 'platform';
/** Those that run in this process unless it is split. */
const OWN_SERVICES = ['alert-engine', 'ml-service', 'feature-service', 'ingestion-service', 'api-gateway'] as const;
const TIMESERIES_ENTRY = fileURLToPath(new URL('../timeseries-service/main.ts', import.meta.url));

/**
 * Starts the whole platform: the time-series store in a process of its own and the rest in this one, or with `--split` each service in a
 * process of its own. When the signal says to stop before it runs, or the start fails, what was started is stopped and the start rejects.
 */
export async function composePlatform(configuration: Configuration, signal: AbortSignal): Promise<Platform> {
  await using opened = new AsyncDisposableStack();
  const runtime = openRuntime(configuration, PROCESS);
  opened.defer(() => runtime.close());
  const tenant = configuration.tenant as TenantId;
  await seedDefaultRules(await runtime.port('ruleStore'), tenant);
  const start = configuration.split ? startSplit : startTogether;
  const started = await start(runtime, opened, signal);
  const issuer = await runtime.port('tokenIssuer');
  const parts = opened.move();
  return {
    ...started,
    commandToken: async (lifetimeMs) =>
      (await issuer.issue({ tenant, subject: 'command-line', roles: ['admin'], lifetimeMs })).token,
    caFile: authorityFile(configuration, runtime.certificates.current),
    close: () => parts.disposeAsync(),
  };
}

async function startTogether(
  runtime: ServiceRuntime,
  opened: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<StartedPlatform> {
  const { configuration, logger, store, certificates } = runtime;
  const running = async <Service extends RunningService>(starting: Promise<Service>): Promise<Service> => {
    const service = await starting;
    opened.defer(() => service.close());
    signal.throwIfAborted();
    return service;
  };
  // A group must be known before anything is published to its stream: who reads starts before who writes.
  const storeProcess = await supervise(
    { name: 'timeseries-service', entry: TIMESERIES_ENTRY, env: () => childEnvironment(configuration) },
    (name, cause) => logger.error({ service: name, cause }, 'a service ended and is started again'),
    signal,
  );
  opened.defer(() => storeProcess.stop());
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
    signInLink: async () => gateway.signInLink(),
    renewCertificates: () => renewCertificates(certificates, logger),
  };
}
