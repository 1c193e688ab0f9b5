import { Container } from 'inversify';
import { embeddedModule } from '#adapters/embedded/module.ts';
import { portToken, type BoundPorts, type PortName } from '#core/ports/tokens.ts';
import { notificationSettings } from '#services/shared/config/notification-settings.ts';
import type { Configuration } from '#services/shared/config/settings.ts';
import { serveOperation } from '#services/shared/http/operation-server.ts';
import { Readiness } from '#services/shared/http/readiness.ts';
import { createLogger } from '#services/shared/observability/logger.ts';
import { createMetricsRegistry } from '#services/shared/observability/metrics.ts';
import { Tracing } from '#services/shared/observability/tracing.ts';
import type { RunningService } from '#services/shared/process/run-service.ts';
import { startAlertEngine } from './alert-engine.ts';
import { alertEngineConfigSchema } from './config.ts';

const NAME = 'alert-engine';
const DAY_MS = 86_400_000;

/** The alert engine as a process of its own; health and metrics on a free port of loopback, which the log names. */
export async function composeAlertEngine(
  configuration: Configuration,
): Promise<RunningService & { readonly operationUrl: string }> {
  const stops: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const stop of stops.splice(0).reverse()) await stop();
  };
  try {
    const logger = createLogger({ service: NAME, level: configuration.logLevel });
    const metrics = createMetricsRegistry(NAME);
    const tracing = new Tracing({ service: NAME, endpoint: configuration.otlpEndpoint });
    stops.push(() => tracing[Symbol.asyncDispose]());
    const embedded = embeddedModule({
      dataDir: configuration.dataDir,
      processName: NAME,
      streamRetentionMs: configuration.streamRetentionDays * DAY_MS,
      streamMaxBytes: configuration.streamMaxBytes,
      log: logger,
      ...notificationSettings(configuration),
    });
    stops.push(() => embedded.close());
    const container = new Container();
    container.load(embedded.module);
    const port = <Name extends PortName>(name: Name) => container.getAsync<BoundPorts[Name]>(portToken(name));
    const engine = await startAlertEngine(alertEngineConfigSchema.parse({ latenessMs: configuration.latenessMs }), {
      stream: await port('eventStream'),
      journal: await port('alarmJournal'),
      rules: await port('ruleStore'),
      machines: await port('machineRegistry'),
      checkpoints: await port('checkpointStore'),
      notifiers: await port('notifiers'),
      clock: await port('clock'),
      ...{ logger, metrics, tracing },
    });
    stops.push(() => engine.close());
    const readiness = new Readiness(engine.readiness);
    const operation = await serveOperation({ port: 0, readiness, metrics });
    stops.push(() => operation.close());
    logger.info({ url: operation.url }, 'health and metrics');
    return { operationUrl: operation.url, close };
  } catch (error) {
    await close();
    throw error;
  }
}
