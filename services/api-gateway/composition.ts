import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Container } from 'inversify';
import { isPublished, issuerDocument } from '#adapters/embedded/local-token-issuer/issuer-server.ts';
import { embeddedModule } from '#adapters/embedded/module.ts';
import type { LiveFeed } from '#core/live/live-feed.ts';
import { portToken, type BoundPorts, type PortName } from '#core/ports/tokens.ts';
import type { Configuration } from '#services/shared/config/settings.ts';
import { createLogger } from '#services/shared/observability/logger.ts';
import { createMetricsRegistry } from '#services/shared/observability/metrics.ts';
import { observeIntake } from '#services/shared/observability/observed-intake.ts';
import { Tracing } from '#services/shared/observability/tracing.ts';
import { connectIntake, INTAKE_PORT, LIVE_PORT } from '#services/shared/rpc/intake-port.ts';
import { connectPort } from '#services/shared/rpc/port-client.ts';
import { socketPath } from '#services/shared/rpc/socket-path.ts';
import { TIME_SERIES_PORT } from '#services/shared/rpc/time-series-port.ts';
import { startApiGateway, type ApiGateway } from './api-gateway.ts';
import type { ReadableStore } from './services.ts';

const DAY_MS = 86_400_000;
const PAGE = fileURLToPath(new URL('../frontend/dist', import.meta.url));

/** The gateway as a process of its own: registries and journal it opens itself, intake, live data and the store it reaches over sockets. */
export async function composeApiGateway(configuration: Configuration): Promise<ApiGateway> {
  const { dataDir } = configuration;
  const logger = createLogger({ service: 'api-gateway', level: configuration.logLevel });
  const metrics = createMetricsRegistry('api-gateway');
  const tracing = new Tracing({ service: 'api-gateway', endpoint: configuration.otlpEndpoint });
  const embedded = embeddedModule({
    dataDir,
    processName: 'api-gateway',
    streamRetentionMs: configuration.streamRetentionDays * DAY_MS,
    streamMaxBytes: configuration.streamMaxBytes,
    log: logger,
  });
  const container = new Container();
  container.load(embedded.module);
  const port = <Name extends PortName>(name: Name) => container.getAsync<BoundPorts[Name]>(portToken(name));
  const store = connectPort<ReadableStore & { problem(): Promise<string | undefined> }>(
    socketPath(dataDir, TIME_SERIES_PORT),
    'the time-series store',
  );
  const live = connectPort<LiveFeed>(socketPath(dataDir, LIVE_PORT), 'the live feed');
  const intake = connectIntake(socketPath(dataDir, INTAKE_PORT));
  const close = async () => {
    for (const each of [intake, live, store]) each.disconnect();
    await embedded.close();
    await tracing[Symbol.asyncDispose]();
  };
  try {
    const issuer = await port('tokenIssuer');
    const gateway = await startApiGateway(settingsOf(configuration), {
      clock: await port('clock'),
      logger,
      tracing,
      metrics,
      intake: observeIntake(intake, { tracing, metrics }),
      machines: await port('machineRegistry'),
      devices: await port('deviceRegistry'),
      store,
      objects: await port('objectStore'),
      alarms: await port('alarmJournal'),
      rules: await port('ruleStore'),
      models: await port('modelRegistry'),
      stream: await port('eventStream'),
      live: [live],
      secrets: await port('secretStore'),
      verifier: await port('identityVerifier'),
      issuer,
      ...(isPublished(issuer) && { issuerDocument: (path, baseUrl) => issuerDocument(issuer, path, baseUrl) }),
      checks: { 'timeseries-service': () => store.problem() },
    });
    return {
      ...gateway,
      close: async () => {
        await gateway.close();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function settingsOf({ host, httpPort, insecure, tenant, tlsCert, tlsKey }: Configuration) {
  const tls = tlsCert !== undefined && tlsKey !== undefined;
  return {
    host,
    port: httpPort,
    insecure,
    tenant,
    ...(tls && { tls: { cert: readFileSync(tlsCert, 'utf8'), key: readFileSync(tlsKey, 'utf8') } }),
    ...(existsSync(PAGE) && { staticFolder: PAGE }),
  };
}
