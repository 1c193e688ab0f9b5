import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Container } from 'inversify';
import { AedesDeviceGateway } from '#adapters/embedded/aedes-device-gateway/aedes-device-gateway.ts';
import { aedesDeviceGatewayConfigSchema } from '#adapters/embedded/aedes-device-gateway/config.ts';
import { embeddedModule } from '#adapters/embedded/module.ts';
import { LiveState } from '#core/live/live-state.ts';
import { portToken, type BoundPorts, type PortName } from '#core/ports/tokens.ts';
import type { Configuration } from '#services/shared/config/settings.ts';
import { createLogger } from '#services/shared/observability/logger.ts';
import { createMetricsRegistry } from '#services/shared/observability/metrics.ts';
import { Tracing } from '#services/shared/observability/tracing.ts';
import { INTAKE_PORT, LIVE_PORT, servedIntake } from '#services/shared/rpc/intake-port.ts';
import { servePort } from '#services/shared/rpc/port-server.ts';
import { socketPath } from '#services/shared/rpc/socket-path.ts';
import type { RunningService } from '#services/shared/process/run-service.ts';
import { startIngestion } from './ingestion-service.ts';
import { loadMapping } from './mapping-file.ts';

const DAY_MS = 86_400_000;

/** Ingestion as a process of its own: the MQTT gateway, and intake and live data for the other processes over sockets in the data folder. */
export async function composeIngestionService(
  configuration: Configuration,
): Promise<RunningService & { readonly mqttPort: number }> {
  const { dataDir } = configuration;
  const stops: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const stop of stops.splice(0).reverse()) await stop();
  };
  try {
    const mapping = configuration.mappingFile === undefined ? undefined : loadMapping(configuration.mappingFile);
    const logger = createLogger({ service: 'ingestion-service', level: configuration.logLevel });
    const metrics = createMetricsRegistry('ingestion-service');
    const tracing = new Tracing({ service: 'ingestion-service', endpoint: configuration.otlpEndpoint });
    stops.push(() => tracing[Symbol.asyncDispose]());
    const embedded = embeddedModule({
      dataDir,
      processName: 'ingestion-service',
      streamRetentionMs: configuration.streamRetentionDays * DAY_MS,
      streamMaxBytes: configuration.streamMaxBytes,
      log: logger,
    });
    stops.push(() => embedded.close());
    const container = new Container();
    container.load(embedded.module);
    const port = <Name extends PortName>(name: Name) => container.getAsync<BoundPorts[Name]>(portToken(name));
    const clock = await port('clock');
    const devices = await port('deviceRegistry');
    const live = new LiveState({ incarnation: randomUUID() });
    const ingestion = await startIngestion(
      { acceptAgeMs: configuration.acceptAgeDays * DAY_MS },
      {
        stream: await port('eventStream'),
        machines: await port('machineRegistry'),
        objects: await port('objectStore'),
        ...{ clock, logger, metrics, tracing },
        watcher: live,
        makeGateway: (hooks) =>
          new AedesDeviceGateway(gatewayConfig(configuration), {
            devices,
            clock,
            ...(mapping && { mapping }),
            ...hooks,
          }),
      },
    );
    stops.push(() => ingestion.close());
    const served = await servePort(socketPath(dataDir, INTAKE_PORT), INTAKE_PORT, servedIntake(ingestion.intake));
    stops.push(() => served.close());
    const watched = await servePort(socketPath(dataDir, LIVE_PORT), LIVE_PORT, live);
    stops.push(() => watched.close());
    return { mqttPort: ingestion.gateway.port, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function gatewayConfig({ host, mqttPort, insecure, dataDir, tlsCert, tlsKey }: Configuration) {
  const tls = tlsCert !== undefined && tlsKey !== undefined;
  return aedesDeviceGatewayConfigSchema.parse({
    host,
    port: mqttPort,
    insecure,
    commandDatabasePath: join(dataDir, 'commands.db'),
    ...(tls && { tls: { cert: readFileSync(tlsCert, 'utf8'), key: readFileSync(tlsKey, 'utf8') } }),
  });
}
