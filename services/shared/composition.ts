import { Container } from 'inversify';
import { pino } from 'pino';
import type { Registry } from 'prom-client';
import { embeddedModule } from '#adapters/embedded/module.ts';
import { providerModule, type Offer } from '#adapters/provider-module.ts';
import { FAMILIES, PROVIDERS } from '#adapters/providers.ts';
import type { StreamName } from '#core/domain/event.ts';
import type { DescribeConnection } from '#core/ports/device-gateway.ts';
import { PORT_NAMES, portToken, type BoundPorts, type PortName } from '#core/ports/tokens.ts';
import type { TimeSeriesStore } from '#core/ports/time-series-store.ts';
import { notificationSettings } from './config/notification-settings.ts';
import { ConfigurationError } from './config/configuration-error.ts';
import { loadPortsFile, type Choice, type Chosen } from './config/ports-file.ts';
import type { Configuration } from './config/settings.ts';
import { createLogger, type Logger } from './observability/logger.ts';
import { createMetricsRegistry } from './observability/metrics.ts';
import { observedBinding, observedPort, type PortObservation } from './observability/observed-port.ts';
import { Tracing } from './observability/tracing.ts';
import { isApart, openLinks, type Links } from './rpc/links.ts';
import { STORE_OWNER, TIME_SERIES_PORT } from './rpc/time-series-port.ts';
import { Certificates } from './tls/certificates.ts';

/** The time-series store as another process's owner of it offers it. */
export type RemoteStore = TimeSeriesStore & {
  /** Why it does not settle now; undefined while all is well. */
  problem(): Promise<string | undefined>;
};

/** What the services of one process share: the ports, each opened once, and one log, one set of metrics, one tracer. */
export interface ServiceRuntime {
  readonly configuration: Configuration;
  readonly logger: Logger;
  readonly metrics: Registry;
  readonly tracing: Tracing;
  /** Of the servers that devices and people connect to. */
  readonly certificates: Certificates;
  /** To the other services of the site. */
  readonly links: Links;
  /** Reached over a link to its owner, which is connected at the first call. */
  readonly store: RemoteStore;
  /** A port of this site's provider, opened when it is first asked for. */
  readonly port: <Name extends PortName>(name: Name) => Promise<BoundPorts[Name]>;
  /** By port the adapter of those that the site has from elsewhere than this machine. */
  readonly elsewhere: Elsewhere;
  /** How devices connect; absent where that is the platform's own broker. */
  readonly describeConnection?: DescribeConnection;
  /** Closes what was opened; services that use it are closed before. */
  close(): Promise<void>;
}

/** The name of the adapter, by port, of what is not kept in the data folder. */
export type Elsewhere = Readonly<Record<string, string>>;

const DAY_MS = 86_400_000;
const CHOICE: Choice<Offer> = { families: FAMILIES, providers: PROVIDERS };

/** What a site with this configuration has from elsewhere. @throws ConfigurationError where its file is wrong. */
export function portsElsewhere(configuration: Configuration): Elsewhere {
  return elsewhereOf(chosenAdapters(configuration));
}

/** The adapters of {@link portsElsewhere} and the notifiers, with their settings. @throws ConfigurationError where the site's file is wrong. */
export function chosenAdapters({ portsFile }: Configuration, choice = CHOICE): readonly Chosen<Offer>[] {
  return portsFile === undefined ? [] : loadPortsFile(portsFile, choice);
}

/**
 * Binds the ports to the embedded provider, but for those that the site has from elsewhere. Nothing is opened yet. The process's name is that of its log, its metrics and what it publishes;
 * `publishes` names the streams that it may publish to, where those are not all; `choice` is what a site may have, where that is not what ships.
 */
export function openRuntime(
  configuration: Configuration,
  processName: string,
  { publishes, choice = CHOICE }: { readonly publishes?: readonly StreamName[]; readonly choice?: Choice<Offer> } = {},
): ServiceRuntime {
  const { dataDir, logLevel, otlpEndpoint, streamRetentionDays, streamMaxBytes } = configuration;
  const { host, mqttPort, insecure, publicUrl } = configuration;
  const certificates = new Certificates(configuration);
  const tls = certificates.current;
  // Standard output belongs to results: a child shares it with the command that started it.
  const logger = createLogger({ service: processName, level: logLevel, destination: pino.destination(2) });
  const tracing = new Tracing({ service: processName, endpoint: otlpEndpoint });
  const embedded = embeddedModule({
    dataDir,
    processName,
    publishes,
    streamRetentionMs: streamRetentionDays * DAY_MS,
    streamMaxBytes,
    log: logger,
    gateway: { host, port: mqttPort, insecure, ...(tls && { tls }) },
    onTlsRenewal: certificates.onRenewal,
    publicUrl,
    ...notificationSettings(configuration),
  });
  const container = new Container();
  container.load(embedded.module);
  const chosen = chosenAdapters(configuration, choice);
  for (const { offer } of chosen) if (!offer.isOneOfSeveral) container.unbind(portToken(offer.port));
  if (isApart(configuration)) requireShared(elsewhereOf(chosen));
  const elsewhere = providerModule((binding) => {
    for (const { offer, settings } of chosen) offer.bind(binding, settings);
  });
  container.load(elsewhere.module);
  const observation = { metrics: createMetricsRegistry(processName), tracing };
  observePorts(container, observation);
  const links = openLinks(configuration, (about, what) => logger.warn(about, what));
  const store = links.connect<RemoteStore>({
    ...{ service: STORE_OWNER, port: TIME_SERIES_PORT, name: 'the time-series store' },
  });
  return {
    configuration,
    logger,
    metrics: observation.metrics,
    tracing,
    certificates,
    links,
    store: observedPort<RemoteStore>(store, { port: 'timeSeriesStore', adapter: TIME_SERIES_PORT }, observation),
    elsewhere: elsewhereOf(chosen),
    ...connectionOf(chosen),
    port: (name) => openPort(container, name),
    close: async () => {
      await links.close();
      await elsewhere.close();
      await embedded.close();
      await tracing[Symbol.asyncDispose]();
    },
  };
}

/** Each port as it is opened, also where an adapter asks for another's. */
function observePorts(container: Container, observation: PortObservation): void {
  for (const name of PORT_NAMES) {
    const observe = (bound: BoundPorts[typeof name]) => observedBinding(name, bound, observation);
    container.onActivation(portToken(name), (_context, bound: BoundPorts[typeof name]) => observe(bound));
  }
}

/** What all services of a site read or write, whichever of them keeps it. */
const SHARED_PORTS: readonly PortName[] = [
  ...(['eventStream', 'objectStore', 'secretStore', 'checkpointStore', 'machineRegistry', 'deviceRegistry'] as const),
  ...(['ruleStore', 'alarmJournal', 'auditTrail', 'modelRegistry', 'tokenIssuer'] as const),
];

/** @throws ConfigurationError where a service that runs apart would keep for itself what is everybody's. */
function requireShared(elsewhere: Elsewhere): void {
  const own = SHARED_PORTS.filter((port) => elsewhere[port] === undefined);
  if (own.length === 0) return;
  throw new ConfigurationError([
    `services that run apart (TRIBO_LINK_PORT, TRIBO_LINK_ADDRESSES) have no data folder in common, and this site keeps ${own.join(', ')} there: name adapters for them in the file of TRIBO_PORTS_FILE (docs/providers.md)`,
  ]);
}

function connectionOf(chosen: readonly Chosen<Offer>[]): Pick<ServiceRuntime, 'describeConnection'> {
  const gateway = chosen.find(({ offer }) => offer.port === 'deviceGateway');
  const describeConnection = gateway?.offer.describeConnection?.(gateway.settings);
  return describeConnection ? { describeConnection } : {};
}

function elsewhereOf(chosen: readonly Chosen<Offer>[]): Elsewhere {
  const instead = chosen.filter(({ offer }) => !offer.isOneOfSeveral);
  return Object.fromEntries(instead.map(({ offer }) => [offer.port, offer.adapter]));
}

/** Of a port that is a list each adapter that offers it has a list of its own. */
async function openPort<Name extends PortName>(container: Container, name: Name): Promise<BoundPorts[Name]> {
  const bound = await container.getAllAsync<BoundPorts[Name]>(portToken(name));
  return bound.length === 1 ? bound[0]! : (bound.flat() as unknown as BoundPorts[Name]);
}
