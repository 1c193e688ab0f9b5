import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Container } from 'inversify';
import { pino } from 'pino';
import { aedesDeviceGatewayConfigSchema } from '#adapters/embedded/aedes-device-gateway/config.ts';
import { AedesDeviceGateway } from '#adapters/embedded/aedes-device-gateway/aedes-device-gateway.ts';
import { embeddedModule, type EmbeddedSettings } from '#adapters/embedded/module.ts';
import { seedDefaultRules } from '#core/alerting/default-rules.ts';
import { deadLettersInStore } from '#core/derivation/dead-letters.ts';
import type { DeviceId, TenantId } from '#core/domain/ids.ts';
import { plantSchema } from '#core/domain/plant.ts';
import { INTAKE_DEFAULTS, Intake } from '#core/ingestion/intake.ts';
import { LiveState } from '#core/live/live-state.ts';
import type { EventStream } from '#core/ports/event-stream.ts';
import { DEFAULT_INDICATOR_PARAMETERS } from '#core/inference/health-indicator.ts';
import { portToken, type BoundPorts, type PortName } from '#core/ports/tokens.ts';
import type { TimeSeriesStore } from '#core/ports/time-series-store.ts';
import { alertEngineConfigSchema } from '#services/alert-engine/config.ts';
import { startAlertEngine } from '#services/alert-engine/alert-engine.ts';
import { startApiGateway } from '#services/api-gateway/api-gateway.ts';
import { startSimulator } from '#services/edge-simulator/composition.ts';
import { demoPlant } from '#services/edge-simulator/plant.ts';
import { featureServiceConfigSchema } from '#services/feature-service/config.ts';
import { COMPUTE_GROUP, startFeatureService } from '#services/feature-service/feature-service.ts';
import { mlServiceConfigSchema } from '#services/ml-service/config.ts';
import { startMlService } from '#services/ml-service/ml-service.ts';
import { settings, type Configuration, type SettingKey } from '#services/shared/config/settings.ts';
import { createLogger } from '#services/shared/observability/logger.ts';
import { createMetricsRegistry } from '#services/shared/observability/metrics.ts';
import { observeIntake } from '#services/shared/observability/observed-intake.ts';
import { Tracing } from '#services/shared/observability/tracing.ts';
import { connectPort } from '#services/shared/rpc/port-client.ts';
import { socketPath } from '#services/shared/rpc/socket-path.ts';
import { TIME_SERIES_PORT } from '#services/shared/rpc/time-series-port.ts';
import { supervise } from './supervisor.ts';

export interface Platform {
  readonly url: string;
  readonly mqttPort: number;
  signInLink(): string;
  /** A bearer token for commands on this machine. */
  commandToken(lifetimeMs: number): Promise<string>;
  /** Drains and stops everything in the order in which data flows. */
  close(): Promise<void>;
}

const DAY_MS = 86_400_000;
/** About 20 s of the demo's waveforms. */
const DEMO_BASELINE_VECTORS = 8;
const TIMESERIES_ENTRY = fileURLToPath(new URL('../timeseries-service/main.ts', import.meta.url));
const PAGE = fileURLToPath(new URL('../frontend/dist', import.meta.url));

/** Starts the whole platform: the time-series store in a process of its own, the rest in this one. */
export async function composePlatform(configuration: Configuration): Promise<Platform> {
  const stops: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const stop of stops.splice(0).reverse()) await stop();
  };
  try {
    return { ...(await compose(configuration, stops)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function compose(
  configuration: Configuration,
  stops: (() => Promise<unknown>)[],
): Promise<Omit<Platform, 'close'>> {
  const { dataDir, logLevel, tenant } = configuration;
  const logger = createLogger({ service: 'platform', level: logLevel, destination: pino.destination(2) });
  const metrics = createMetricsRegistry('platform', { processMetrics: true });
  const tracing = new Tracing({ service: 'platform', endpoint: configuration.otlpEndpoint });
  stops.push(() => tracing[Symbol.asyncDispose]());
  const onProblem = (what: string, error: unknown): void => logger.warn({ err: error }, `${what} failed`);

  const embedded = embeddedModule({
    dataDir,
    processName: 'platform',
    streamRetentionMs: configuration.streamRetentionDays * DAY_MS,
    streamMaxBytes: configuration.streamMaxBytes,
    log: logger,
    ...notifiersOf(configuration),
  });
  const container = new Container();
  container.load(embedded.module);
  stops.push(() => embedded.close());
  const port = <Name extends PortName>(name: Name): Promise<BoundPorts[Name]> =>
    container.getAsync<BoundPorts[Name]>(portToken(name));
  const clock = await port('clock');
  const stream = await port('eventStream');
  const [machines, devices, objects, rules, alarms, issuer] = [
    await port('machineRegistry'),
    await port('deviceRegistry'),
    await port('objectStore'),
    await port('ruleStore'),
    await port('alarmJournal'),
    await port('tokenIssuer'),
  ];

  // A store group must be known before anything is published; the child declares it, so it starts first.
  const storeProcess = await supervise(
    { name: 'timeseries-service', entry: TIMESERIES_ENTRY, env: environmentOf(configuration) },
    (name, cause) => logger.error({ service: name, cause }, 'a service ended and is started again'),
  );
  stops.push(() => storeProcess.stop());
  const store = connectPort<TimeSeriesStore & { problem(): Promise<string | undefined> }>(
    socketPath(dataDir, TIME_SERIES_PORT),
    'the time-series store',
  );
  stops.push(async () => store.disconnect());

  await seedDefaultRules(rules, tenant as TenantId);
  const alertEngine = await startAlertEngine(alertEngineConfigSchema.parse({ latenessMs: configuration.latenessMs }), {
    stream,
    journal: alarms,
    rules,
    machines,
    checkpoints: await port('checkpointStore'),
    notifiers: await port('notifiers'),
    clock,
    logger,
    metrics,
    tracing,
  });
  stops.push(() => alertEngine.close());

  const models = await port('modelRegistry');
  const indicator = DEFAULT_INDICATOR_PARAMETERS;
  const ml = await startMlService(
    mlServiceConfigSchema.parse({
      indicatorOf: configuration.demo
        ? demoIndicators(configuration, { ...indicator, baselineVectors: DEMO_BASELINE_VECTORS })
        : {},
    }),
    {
      stream,
      machines,
      registry: models,
      inference: await port('modelInference'),
      checkpoints: await port('checkpointStore'),
      deadLetter: deadLettersInStore(store, { writesTo: 'inference-results', group: 'ml' }),
      clock,
      logger,
      metrics,
      tracing,
    },
  );
  stops.push(() => ml.close());

  // The groups that read features are declared by now.
  const features = await startFeatureService(featureServiceConfigSchema.parse({}), {
    stream,
    objects,
    machines,
    readings: store,
    deadLetter: deadLettersInStore(store, { writesTo: 'features', group: COMPUTE_GROUP }),
    clock,
    logger,
    metrics,
  });
  stops.push(() => features.close());

  const live = new LiveState({ incarnation: randomUUID() });

  const intake = new Intake(
    {
      stream: watched(stream, live),
      tail: stream,
      machines,
      objects,
      clock,
      receiptKey: randomBytes(16),
      incarnation: randomUUID().slice(0, 8),
      lag: () => stream.lag('metrics', 'store'),
      onProblem,
    },
    { ...INTAKE_DEFAULTS, acceptAgeMs: configuration.acceptAgeDays * DAY_MS },
  );
  await intake.start();
  stops.push(() => intake.stop());
  const observed = observeIntake(intake, { tracing, metrics });
  const tls = tlsOf(configuration);
  const gateway = new AedesDeviceGateway(
    aedesDeviceGatewayConfigSchema.parse({
      host: configuration.host,
      port: configuration.mqttPort,
      insecure: configuration.insecure,
      commandDatabasePath: join(dataDir, 'commands.db'),
      ...(tls && { tls }),
    }),
    { devices, clock, refuse: (reason, refusedTenant) => intake.refuse(reason, refusedTenant), onProblem },
  );
  await gateway.start(observed, live);
  stops.push(() => gateway.close());

  const api = await startApiGateway(
    {
      host: configuration.host,
      port: configuration.httpPort,
      insecure: configuration.insecure,
      tenant,
      ...(existsSync(PAGE) && { staticFolder: PAGE }),
      ...(tls && { tls }),
    },
    {
      clock,
      logger,
      tracing,
      metrics,
      intake: observed,
      machines,
      devices,
      store,
      objects,
      alarms,
      rules,
      models,
      stream,
      live: [live],
      secrets: await port('secretStore'),
      verifier: await port('identityVerifier'),
      issuer,
      refused: async () => refusedMessages(intake),
      checks: {
        ...features.readiness,
        ...ml.readiness,
        ...alertEngine.readiness,
        'timeseries-service': async () => (storeProcess.ready() ? store.problem() : 'it is being started again'),
      },
    },
  );
  stops.push(() => api.close());
  if (configuration.demo) stops.push(await startDemo(configuration, gateway.port, { machines, devices }, logger));

  return {
    url: api.url,
    mqttPort: gateway.port,
    signInLink: () => api.signInLink(),
    commandToken: async (lifetimeMs) =>
      (await issuer.issue({ tenant: tenant as TenantId, subject: 'command-line', roles: ['admin'], lifetimeMs })).token,
  };
}

/** Demo machines age a day in a minute and a half: what is healthy is learnt in seconds there. */
function demoIndicators<Parameters>(
  { tenant, site }: Configuration,
  parameters: Parameters,
): Record<string, Parameters> {
  return Object.fromEntries(
    demoPlant({ tenant, site }).machines.map(({ id }) => [`${tenant}/${site}/${id}`, parameters]),
  );
}

/** Registers the simulated plant with a device of its own, whose secret is new at each start, and lets it send. */
async function startDemo(
  { tenant, site, host, dataDir, demoSpeed }: Configuration,
  mqttPort: number,
  {
    machines,
    devices,
  }: Pick<
    {
      [
        Name in keyof BoundPorts as Name extends 'machineRegistry'
          ? 'machines'
          : Name extends 'deviceRegistry'
            ? 'devices'
            : never
      ]: BoundPorts[Name];
    },
    'machines' | 'devices'
  >,
  log: ReturnType<typeof createLogger>,
): Promise<() => Promise<void>> {
  const plant = plantSchema.parse(demoPlant({ tenant, site }));
  const registered = [];
  for (const machine of plant.machines)
    registered.push(await machines.putMachine(plant.tenant as TenantId, plant.site as never, machine));
  const id = `demo-${site}` as DeviceId;
  if (await devices.getDevice(id)) await devices.removeDevice(id);
  const { secret } = await devices.addDevice({
    id,
    tenant: plant.tenant as TenantId,
    machines: registered.map(({ key }) => key),
  });
  const simulator = await startSimulator({
    transport: {
      mode: 'mqtt',
      url: `mqtt://${host}:${mqttPort}`,
      devices: [{ id, secret, machines: plant.machines.map((machine) => machine.id) }],
    },
    tenant,
    site,
    dataDir: join(dataDir, 'edge-simulator'),
    speed: demoSpeed,
    log,
  });
  return () => simulator.stop();
}

/** The stream as intake sees it: what became durable is also shown to those who watch. */
function watched(stream: EventStream, live: LiveState): EventStream {
  return {
    publish: async (name, events, options) => {
      const result = await stream.publish(name, events, options);
      live.observe(events);
      return result;
    },
    declareGroup: (...given) => stream.declareGroup(...given),
    subscribe: (...given) => stream.subscribe(...given),
    close: () => stream.close(),
  };
}

function refusedMessages(intake: Intake): ReadonlyMap<TenantId, number> {
  return new Map(
    [...intake.counts()].map(([tenant, { refused }]) => [
      tenant as TenantId,
      Object.values(refused).reduce((sum, count) => sum + count, 0),
    ]),
  );
}

function notifiersOf({
  webhookUrl,
  webhookSecret,
  smtpUrl,
  mailFrom,
  mailTo,
}: Configuration): Pick<EmbeddedSettings, 'webhook' | 'mail'> {
  return {
    ...(webhookUrl !== undefined &&
      webhookSecret !== undefined && { webhook: { url: webhookUrl, secret: webhookSecret } }),
    ...(smtpUrl !== undefined &&
      mailFrom !== undefined &&
      mailTo !== undefined && { mail: { url: smtpUrl, from: mailFrom, to: [mailTo] } }),
  };
}

function tlsOf({ tlsCert, tlsKey }: Configuration): { cert: string; key: string } | undefined {
  if (tlsCert === undefined || tlsKey === undefined) return undefined;
  return { cert: readFileSync(tlsCert, 'utf8'), key: readFileSync(tlsKey, 'utf8') };
}

/** The configuration as a child's environment, so that parent and child agree whatever it came from. */
function environmentOf(configuration: Configuration): Record<string, string> {
  const given = (Object.keys(settings) as SettingKey[]).map((key) => [settings[key].env, configuration[key]] as const);
  return Object.fromEntries(
    given.filter(([, value]) => value !== undefined).map(([name, value]) => [name, String(value)]),
  );
}
