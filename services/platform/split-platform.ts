import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Counter, Gauge } from 'prom-client';
import { OWN_SIMULATOR_SETTINGS } from '#services/edge-simulator/settings.ts';
import type { ServiceRuntime } from '#services/shared/composition.ts';
import { hostNamesOf, platformAddresses, portOf, type Addresses } from '#services/shared/config/addresses.ts';
import type { Configuration } from '#services/shared/config/settings.ts';
import { serveOperation } from '#services/shared/http/operation-server.ts';
import { Readiness, type ReadinessCheck } from '#services/shared/http/readiness.ts';
import { processOf } from '#services/shared/process/process-mark.ts';
import { attentionOf, publishAddress, readAddress, readinessOf } from '#services/shared/process/service-address.ts';
import { GATEWAY_PORT, type ServedGateway } from '#services/shared/rpc/gateway-port.ts';
import { connectPort } from '#services/shared/rpc/port-client.ts';
import { socketPath } from '#services/shared/rpc/socket-path.ts';
import { authorityFile } from '#services/shared/tls/authority.ts';
import { childEnvironment } from './child-environment.ts';
import { registerDemoPlant, simulatorFolder } from './demo-plant.ts';
import type { StartedPlatform } from './platform.ts';
import { stopInOrder, supervise, type Supervised } from './supervisor.ts';

/**
 * A group must be known before anything is published to its stream: who reads starts before who writes. They are stopped the other way round,
 * so that what was taken in is worked off.
 */
const SERVICES = [
  'timeseries-service',
  'alert-engine',
  'ml-service',
  'feature-service',
  'ingestion-service',
  'api-gateway',
] as const;
const SIMULATOR = 'edge-simulator';
const SUPERVISOR = 'platform';

/** Runs each service as a supervised process of its own. This process keeps their health together, and does no other work. */
export async function startSplit(
  runtime: ServiceRuntime,
  opened: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<StartedPlatform> {
  const { configuration, logger, certificates } = runtime;
  const { dataDir } = configuration;
  const children: Supervised[] = [];
  opened.defer(() => stopInOrder(children.toReversed()));
  const onRestart = (service: string, cause: string): void =>
    logger.error({ service, cause }, 'a service ended and is started again');
  // A port that was free to choose is the same after a restart: devices and pages come back to it.
  let known = configuration;
  const start = async (name: string, further: Readonly<Record<string, string>> = {}): Promise<void> => {
    const operation = { TRIBO_OPERATION_PORT: operationPort(configuration, children.length + 1) };
    const env = () => ({ ...childEnvironment(known), ...operation, ...further });
    children.push(await supervise({ name, entry: entryOf(name), env }, onRestart, signal));
    const { mqttPort = known.mqttPort, url } = readAddress(folderOf(dataDir, name), name) ?? {};
    known = { ...known, mqttPort, httpPort: url === undefined ? known.httpPort : portOf(url) };
  };
  for (const name of SERVICES) await start(name);
  const addresses = platformAddresses(configuration, certificates.current, known);
  if (configuration.demo) await start(SIMULATOR, await simulatorEnvironment(runtime, addresses.here));
  await serveHealth(runtime, opened, children);
  const gateway = connectPort<ServedGateway>(socketPath(dataDir, GATEWAY_PORT), 'the API gateway');
  opened.defer(() => gateway.disconnect());
  return {
    addresses,
    mqttPort: known.mqttPort,
    signInLink: () => gateway.signInLink(),
    renewCertificates: () => {
      for (const child of children) child.renewCertificates();
    },
  };
}

/** The platform's health and metrics: of each service, whether it runs and is ready. */
async function serveHealth(
  { configuration, metrics }: ServiceRuntime,
  opened: AsyncDisposableStack,
  children: readonly Supervised[],
): Promise<void> {
  const { dataDir } = configuration;
  const checks = children.map((child): [string, ReadinessCheck] => {
    const ofItself = readinessOf(folderOf(dataDir, child.name), child.name);
    return [
      child.name,
      () => (child.ready() ? ofItself() : `its process is being started again (restart ${child.restarts()})`),
    ];
  });
  const labelNames = ['name'] as const;
  new Gauge({
    name: 'tribo_service_up',
    help: '1 while the process of the service runs and has said that it is ready',
    labelNames,
    registers: [metrics],
    collect() {
      for (const child of children) this.set({ name: child.name }, child.ready() ? 1 : 0);
    },
  });
  new Counter({
    name: 'tribo_service_restarts_total',
    help: 'How often the process of the service ended unasked and was started again',
    labelNames,
    registers: [metrics],
    collect() {
      this.reset();
      for (const child of children) this.inc({ name: child.name }, child.restarts());
    },
  });
  const attention = children.map(({ name }) => {
    return [`attention of ${name}`, attentionOf(folderOf(dataDir, name), name)] as const;
  });
  const readiness = new Readiness(Object.fromEntries(checks), undefined, Object.fromEntries(attention));
  const operation = opened.use(
    await serveOperation({
      port: configuration.operationPort,
      hostNames: hostNamesOf(configuration),
      readiness,
      metrics,
    }),
  );
  opened.defer(
    publishAddress(dataDir, SUPERVISOR, { pid: process.pid, ...processOf(process.pid), operationUrl: operation.url }),
  );
}

/**
 * The demo's machines: their credentials go by a file that only this user can read, never by the environment. What this process was given
 * for a simulator of the user's own is taken away.
 */
async function simulatorEnvironment(
  runtime: ServiceRuntime,
  { mqttUrl }: Addresses,
): Promise<Readonly<Record<string, string>>> {
  const { configuration, certificates } = runtime;
  const { dataDir } = configuration;
  const { protocol, hostname, port } = new URL(mqttUrl);
  const caFile = authorityFile(configuration, certificates.current);
  const folder = simulatorFolder(dataDir);
  const credentials = join(folder, 'credentials.json');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  rmSync(credentials, { force: true });
  writeFileSync(credentials, JSON.stringify({ devices: [await registerDemoPlant(runtime)] }), { mode: 0o600 });
  return {
    ...Object.fromEntries(OWN_SIMULATOR_SETTINGS.map(({ env }) => [env, ''])),
    TRIBO_SIMULATOR_DATA_DIR: folder,
    TRIBO_SIMULATOR_CREDENTIALS: credentials,
    TRIBO_SIMULATOR_TLS: String(protocol === 'mqtts:'),
    TRIBO_HOST: hostname,
    TRIBO_MQTT_PORT: port,
    ...(caFile !== undefined && { TRIBO_SIMULATOR_CA: caFile }),
  };
}

function operationPort({ operationPort: first }: Configuration, index: number): string {
  return String(first === 0 ? 0 : first + index);
}

/** The simulator is a device, not a part of the platform: what it writes is in a folder of its own. */
function folderOf(dataDir: string, name: string): string {
  return name === SIMULATOR ? simulatorFolder(dataDir) : dataDir;
}

function entryOf(name: string): string {
  return fileURLToPath(new URL(`../${name}/main.ts`, import.meta.url));
}
