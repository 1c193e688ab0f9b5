import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { takeOverTokens } from '#adapters/embedded/local-token-issuer/listed-tokens.ts';
import { isPublished, issuerDocument } from '#adapters/issuer-server.ts';
import { issuersProblem, signInIssuersOf, verifierOf } from '#adapters/oidc/issuer-verifiers.ts';
import type { TenantId } from '#core/domain/ids.ts';
import type { LiveFeed } from '#core/live/live-feed.ts';
import { MergedLiveFeed } from '#core/live/merged-live-feed.ts';
import type { DeviceIntake } from '#core/ports/device-gateway.ts';
import { notifiersOf } from '#core/ports/notifier.ts';
import { streamWith } from '#core/delivery/stream-capabilities.ts';
import { openRuntime, type ServiceRuntime } from '#services/shared/composition.ts';
import type { Configuration } from '#services/shared/config/settings.ts';
import { hostNamesOf, localHost, platformAddresses } from '#services/shared/config/addresses.ts';
import type { ReadinessCheck } from '#services/shared/http/readiness.ts';
import { observeIntake } from '#services/shared/observability/observed-intake.ts';
import { composeAlone, type ReadyService, type ServiceAlone } from '#services/shared/process/compose-alone.ts';
import { healthOf } from '#services/shared/process/service-health.ts';
import { ALERTING_PORT, type AlertingDesk } from '#services/shared/rpc/alerting-port.ts';
import { FEATURES_PORT, type FeaturesPublisher } from '#services/shared/rpc/features-port.ts';
import { GATEWAY_PORT, type ServedGateway } from '#services/shared/rpc/gateway-port.ts';
import { connectIntake, LIVE_PORT, type CommandSender } from '#services/shared/rpc/intake-port.ts';
import { startApiGateway, type ApiGateway } from './api-gateway.ts';
import type { ApiGatewaySettings } from './config.ts';

const NAME = 'api-gateway';
const PAGE = fileURLToPath(new URL('../frontend/dist', import.meta.url));
/** Whose health the platform's includes, where each is a process of its own. */
const OTHER_SERVICES = ['timeseries-service', 'alert-engine', 'ml-service', 'feature-service', 'ingestion-service'];

/** What the gateway needs of the processes that take data in, and that write the streams. */
export interface IntakeSide {
  readonly intake: DeviceIntake;
  readonly live: LiveFeed;
  readonly refused: () => Promise<ReadonlyMap<TenantId, number>>;
  readonly commands: CommandSender;
  /** Where it listens for devices, where that is known better than by the configuration. */
  readonly mqttPort?: number;
  readonly alerting: AlertingDesk;
  /** Publishes what becomes of a replayed dead letter, where another process writes that stream. Default: this one. */
  readonly features?: FeaturesPublisher;
}

/** The gateway as a process of its own: registries and journal it opens itself, intake, live data and the store it reaches over links. */
export function composeApiGateway(configuration: Configuration): Promise<ServiceAlone<ApiGateway & ReadyService>> {
  // The streams belong to the other services' processes: a dead letter that is replayed here is published by its owner.
  const runtime = openRuntime(configuration, NAME, { publishes: [] });
  return composeAlone(NAME, runtime, startConnected, ({ url }) => ({ url }));
}

/** The gateway on the ports of the process that it runs in. `checks` are further reasons not to be ready, `attention` what to look at besides. */
export async function wireApiGateway(
  runtime: ServiceRuntime,
  { intake, live, refused, commands, alerting, features, mqttPort }: IntakeSide,
  checks: Readonly<Record<string, ReadinessCheck>>,
  attention: Readonly<Record<string, ReadinessCheck>> = {},
): Promise<ApiGateway> {
  const { configuration, elsewhere, port, store, logger, metrics, tracing, describeConnection } = runtime;
  const issuer = await port('tokenIssuer');
  if (elsewhere['tokenIssuer'] !== undefined) await takeOverTokens(configuration.dataDir, issuer);
  const published = isPublished(issuer) ? issuer : undefined;
  published?.onProblem((what, error) => logger.warn({ err: error }, `${what} failed`));
  const verifiers = await port('identityVerifiers');
  return startApiGateway(settingsOf(runtime, mqttPort), {
    clock: await port('clock'),
    ...{ logger, tracing, metrics, intake, store, refused, commands, alerting, issuer, checks },
    attention: { issuers: () => issuersProblem(verifiers), tokens: () => published?.problem(), ...attention },
    machines: await port('machineRegistry'),
    devices: await port('deviceRegistry'),
    objects: await port('objectStore'),
    alarms: await port('alarmJournal'),
    notifyOfChanges: notifiersOf('alarm-change', await port('notifiers')),
    rules: await port('ruleStore'),
    auditTrail: await port('auditTrail'),
    models: await port('modelRegistry'),
    inference: await port('modelInference'),
    stream: streamWith(await port('eventStream'), NAME, 'MeasuredStream'),
    ...(features && { features }),
    ...(describeConnection && { describeConnection }),
    live: [live],
    onTlsRenewal: runtime.certificates.onRenewal,
    secrets: await port('secretStore'),
    checkpoints: await port('checkpointStore'),
    verifier: verifierOf(verifiers),
    signInIssuers: signInIssuersOf(verifiers),
    ...(published && { issuerDocument: (path, baseUrl) => issuerDocument(published, path, baseUrl) }),
  });
}

async function startConnected(runtime: ServiceRuntime): Promise<ApiGateway & ReadyService> {
  const { configuration, metrics, tracing, store, links } = runtime;
  const { dataDir, split } = configuration;
  await using opened = new AsyncDisposableStack();
  const intake = opened.adopt(connectIntake(links), (port) => port.disconnect());
  const live = new MergedLiveFeed(
    links.copies<LiveFeed>({ service: 'ingestion-service', port: LIVE_PORT, name: 'the live feed' }),
  );
  const features = links.connect<FeaturesPublisher>({
    ...{ service: 'feature-service', port: FEATURES_PORT, name: 'the feature service' },
  });
  // Of its copies one judges.
  const alerting = links.connect<AlertingDesk>(
    { service: 'alert-engine', port: ALERTING_PORT, name: 'the alert engine' },
    { isAskedOfAll: true },
  );
  const ofItself = { 'timeseries-service': () => store.problem() };
  const health = OTHER_SERVICES.map((name) => [name, healthOf(links, dataDir, name)] as const);
  const ofOthers = Object.fromEntries(health.map(([name, { readiness }]) => [name, readiness]));
  const attention = health.map(([name, each]) => [`attention of ${name}`, each.attention] as const);
  const gateway = await wireApiGateway(
    runtime,
    {
      intake: observeIntake(intake, { tracing, metrics }),
      commands: intake,
      refused: () => intake.refused(),
      ...{ live, alerting, features },
    },
    split || links.isApart ? ofOthers : ofItself,
    Object.fromEntries(attention),
  );
  opened.defer(() => gateway.close());
  const served: ServedGateway = { signInLink: () => gateway.signInLink() };
  const server = await links.serve(GATEWAY_PORT, served);
  opened.defer(() => server.close());
  const parts = opened.move();
  const intakeCheck = (): string | undefined => (intake.isReady() ? undefined : 'it takes no more for now, or is away');
  return { ...gateway, readiness: { intake: intakeCheck, ...ofItself }, close: () => parts.disposeAsync() };
}

function settingsOf(
  { configuration, certificates }: ServiceRuntime,
  mqttPort = configuration.mqttPort,
): ApiGatewaySettings {
  const { host, httpPort, insecure, tenant, telemetryRequestsPerS, staleAfterS, auditDays, publicUrl } = configuration;
  const tls = certificates.current;
  const { mqttUrl } = platformAddresses(configuration, tls, { httpPort, mqttPort }).everywhere;
  return {
    ...{ host, port: httpPort, insecure, tenant, linkHost: localHost(configuration, tls), mqttUrl },
    staleAfterMs: staleAfterS * 1000,
    auditMs: auditDays * 86_400_000,
    rateLimits: { telemetryPerCaller: telemetryRequestsPerS },
    ...(tls && { tls }),
    ...(publicUrl !== undefined && { publicUrl }),
    hostNames: [host, ...hostNamesOf(configuration)],
    ...(existsSync(PAGE) && { staticFolder: PAGE }),
  };
}
