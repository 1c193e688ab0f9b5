import { join } from 'node:path';
import { pino } from 'pino';
import { Gauge } from 'prom-client';
import { deviceLogin, messageTopic } from '#adapters/azure/iot-hub-device-gateway/device-binding.ts';
import { systemClock } from '#core/clock.ts';
import type { Clock } from '#core/clock.ts';
import { createLogger } from '#services/shared/observability/logger.ts';
import { createMetricsRegistry } from '#services/shared/observability/metrics.ts';
import { composeAlone, type ReadyService, type ServiceAlone } from '#services/shared/process/compose-alone.ts';
import { trustAuthority } from '#services/shared/tls/authority.ts';
import type { SimulatorProcessOptions } from './config.ts';
import type { MachineSpec } from './machine-spec.ts';
import { machineOfLine } from './messages.ts';
import { DEMO_MACHINES } from './plant.ts';
import type { ProfileName } from './profiles.ts';
import { Simulator } from './simulator.ts';
import type { SimulatedDevice, SimulatorStats } from './simulator.ts';
import { AckLog } from './transport/ack-log.ts';
import { HttpUplink } from './transport/http-uplink.ts';
import { MqttUplink } from './transport/mqtt-uplink.ts';
import type { MqttBinding, MqttDevice } from './transport/mqtt-uplink.ts';
import { SegmentQueue } from './transport/segment-queue.ts';
import { StoreAndForward } from './transport/store-and-forward.ts';
import type { Log } from './transport/store-and-forward.ts';
import type { Uplink } from './transport/uplink.ts';

/** How the simulator reaches the platform. */
type SimulatorTransport =
  | {
      readonly mode: 'mqtt';
      /** `mqtt://host:port` or `mqtts://host:port`. */
      readonly url: string;
      /** Each with its own credential and connection; together they speak for the machines that are simulated. Absent: one a machine, without secret. */
      readonly devices?: readonly MqttDevice[] | undefined;
      /** PEM file of the authority to trust, read at each connection; absent where the system knows it. */
      readonly caFile?: string | undefined;
      /** First level of devices' topics at a broker of the site; absent at the platform's own. */
      readonly topicRoot?: string | undefined;
      /** Host name of the Azure IoT Hub that devices speak to; absent at a broker. */
      readonly iotHub?: string | undefined;
    }
  | {
      readonly mode: 'http';
      readonly url: string;
      /** As above, for a process that simulates and does nothing else: within another one HTTP trusts what that trusts. */
      readonly caFile?: string | undefined;
      readonly token?: string | (() => string | Promise<string>) | undefined;
    };

export interface SimulatorOptions {
  readonly transport: SimulatorTransport;
  readonly tenant: string;
  readonly site: string;
  /** Queue and age of the plant; belongs to one process. */
  readonly dataDir: string;
  /** Same seed, same plant. Default 1. */
  readonly seed?: number | undefined;
  /** How fast machines age; 1, the default, shows a bearing fault within two minutes. */
  readonly speed?: number | undefined;
  readonly profile?: ProfileName | undefined;
  /** Default: those of `demoPlant`. */
  readonly machines?: readonly MachineSpec[] | undefined;
  /** Bound of the store-and-forward queue of each device. Default 64 MiB. */
  readonly maxQueueBytes?: number | undefined;
  /** File for the ids that were acknowledged, synced: the oracle of fault tests. */
  readonly ackLog?: string | undefined;
  /** Begin of all message ids. Default: seed and time of the start, so that a later run never repeats an id. */
  readonly runId?: string | undefined;
  readonly clock?: Clock | undefined;
  readonly log?: Log | undefined;
}

const NAME = 'edge-simulator';

/** The simulator as a process of its own, with health and metrics: ready while its devices are connected. */
export function composeSimulator(options: SimulatorProcessOptions): Promise<ServiceAlone<ReadyService>> {
  const { dataDir, operationPort, logLevel, transport } = options;
  if (transport.mode === 'http' && transport.caFile !== undefined) trustAuthority(transport.caFile);
  const logger = createLogger({ service: NAME, level: logLevel, destination: pino.destination(2) });
  const metrics = createMetricsRegistry(NAME);
  const runtime = { configuration: { dataDir, operationPort }, logger, metrics, close: async () => undefined };
  return composeAlone(NAME, runtime, async () => {
    const simulator = await startSimulator({ ...options, log: logger });
    new Gauge({
      name: 'tribo_simulator_messages',
      help: 'Messages of each simulated device, by what has become of them',
      labelNames: ['device', 'outcome'],
      registers: [metrics],
      collect() {
        for (const [device, { connected: _, ...counts }] of Object.entries(simulator.stats().devices))
          for (const [outcome, count] of Object.entries(counts)) this.set({ device, outcome }, count);
      },
    });
    return { readiness: { platform: () => disconnected(simulator.stats()) }, close: () => simulator.stop() };
  });
}

function disconnected({ devices }: SimulatorStats): string | undefined {
  const away = Object.entries(devices).filter(([, { connected }]) => !connected);
  const waiting = away.map(([device, { pending }]) => `${device} is not connected, ${pending} messages wait`);
  return waiting.join('; ') || undefined;
}

export interface RunningSimulator {
  /** Within two seconds; what is not delivered waits for the next start. */
  stop(): Promise<void>;
  stats(): SimulatorStats;
}

/**
 * Starts the simulated plant. Resolves at once: a platform that is away is waited for.
 *
 * @throws Error when a machine has no device to speak for it, or the data folder cannot be used.
 */
export async function startSimulator(options: SimulatorOptions): Promise<RunningSimulator> {
  const log = options.log ?? pino({ name: 'edge-simulator' });
  const clock = options.clock ?? systemClock;
  const seed = options.seed ?? 1;
  const plans = planDevices(options);
  const ackLog = options.ackLog === undefined ? undefined : await AckLog.open(options.ackLog);
  const devices = await openDevices(plans, options, log, ackLog);
  const simulator = await Simulator.start({
    devices,
    seed,
    speed: options.speed ?? 1,
    profile: options.profile ?? 'demo',
    runId: options.runId ?? `s${seed}-${Math.round(clock.nowMs()).toString(36)}`,
    dataDir: options.dataDir,
    clock,
    log,
  });
  let stopped: Promise<void> | undefined;
  return {
    stop: () => (stopped ??= simulator.stop().then(() => ackLog?.close())),
    stats: () => simulator.stats(),
  };
}

async function openDevices(
  plans: readonly DevicePlan[],
  options: SimulatorOptions,
  log: Log,
  ackLog: AckLog | undefined,
): Promise<SimulatedDevice[]> {
  return Promise.all(
    plans.map(async ({ id, uplink, machines }) => {
      const queue = await SegmentQueue.open({
        folder: join(options.dataDir, 'queue', id),
        maxBytes: options.maxQueueBytes ?? 64 * 1024 * 1024,
        keyOf: machineOfLine,
      });
      return { id, machines, forwarder: new StoreAndForward({ uplink, queue, log: withDevice(log, id), ackLog }) };
    }),
  );
}

interface DevicePlan {
  readonly id: string;
  readonly uplink: Uplink;
  readonly machines: readonly MachineSpec[];
}

function planDevices({ transport, tenant, site, machines = DEMO_MACHINES }: SimulatorOptions): DevicePlan[] {
  if (transport.mode === 'http') {
    const { url, token } = transport;
    return [{ id: 'http', uplink: new HttpUplink({ url, site, ...(token === undefined ? {} : { token }) }), machines }];
  }
  const {
    url,
    caFile,
    topicRoot,
    iotHub,
    devices = machines.map(({ description: { id } }) => ({ id, machines: [id] })),
  } = transport;
  const homeless = machines.filter(
    ({ description }) => !devices.some((device) => device.machines.includes(description.id)),
  );
  if (homeless.length > 0) {
    const names = homeless.map(({ description }) => description.id).join(', ');
    throw new Error(`no device speaks for ${names}: add one to the credentials file, or with: tribo device add`);
  }
  const spokenFor = new Set<string>();
  return devices.flatMap((device) => {
    const own = machines.filter(({ description: { id } }) => device.machines.includes(id) && !spokenFor.has(id));
    for (const { description } of own) spokenFor.add(description.id);
    if (own.length === 0) return [];
    const speaker = { ...device, machines: own.map(({ description }) => description.id) };
    const uplink = new MqttUplink({
      ...{ url, tenant, site, device: speaker },
      ...(caFile === undefined ? {} : { caFile }),
      ...(topicRoot === undefined ? {} : { topicRoot }),
      ...(iotHub === undefined ? {} : { binding: iotHubBinding(iotHub, site, device) }),
    });
    return [{ id: device.id, uplink, machines: own }];
  });
}

function iotHubBinding(hub: string, site: string, { id, secret: key = '' }: MqttDevice): MqttBinding {
  return {
    login: () => deviceLogin(hub, { id, key, expiresMs: systemClock.nowMs() + TOKEN_LIFE_MS }),
    topic: ({ machine, ...batch }) => {
      const sensor = batch.kind === 'waveform' ? { sensor: batch.sensor } : {};
      return messageTopic(id, { kind: batch.kind, machine: `${site}/${machine}`, ...sensor });
    },
  };
}

/** Then the hub ends the connection, and the next one begins with another. */
const TOKEN_LIFE_MS = 86_400_000;

function withDevice(log: Log, device: string): Log {
  return {
    info: (details, message) => log.info({ device, ...details }, message),
    warn: (details, message) => log.warn({ device, ...details }, message),
  };
}
