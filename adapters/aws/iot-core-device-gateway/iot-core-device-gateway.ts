import { systemClock, type Clock } from '#core/clock.ts';
import { atStart } from '#core/delivery/at-start.ts';
import { machineRef, type DeviceId, type MachineKey } from '#core/domain/ids.ts';
import { PortError, throwIfAborted, type CallOptions } from '#core/errors.ts';
import type { DeviceAccess } from '#core/ingestion/device-access.ts';
import { DeviceBindings } from '#core/ingestion/device-bindings.ts';
import { onlineOf } from '#core/ingestion/device-status.ts';
import type { RefusalReason } from '#core/ingestion/intake-counters.ts';
import { deviceTopic } from '#core/ingestion/topics.ts';
import type {
  DeviceCommand,
  DeviceGateway,
  DeviceIntake,
  DeviceMessage,
  GatewayHooks,
  PresenceListener,
} from '#core/ports/device-gateway.ts';
import type { Device, DeviceRegistry } from '#core/ports/device-registry.ts';
import type { BatchHandler, Subscription } from '#core/ports/event-stream.ts';
import { DeviceLogIntake } from '../../device-log-intake.ts';
import { StartedOnce } from '../../started-once.ts';
import { awsCall } from '../aws-errors.ts';
import { openDynamoTable, type DynamoTable } from '../dynamo-table.ts';
import { IOT_CODES } from '../iot-codes.ts';
import { openKinesis, type KinesisCalls } from '../kinesis-event-stream/client.ts';
import { openIotData, type IotDataCalls } from './client.ts';
import { CommandSender } from './command-sender.ts';
import { CommandTable, type Listener } from './command-table.ts';
import type { IotCoreDeviceGatewayConfig } from './config.ts';
import type { DeviceRecord } from './device-record.ts';
import { readRecords } from './record-source.ts';

/** IoT Core's limit of a payload. */
const MAX_PAYLOAD_BYTES = 128 * 1024;

type Message = Extract<DeviceRecord, { readonly kind: 'message' }>;
type Presence = Extract<DeviceRecord, { readonly kind: 'presence' }>;
type Subscriptions = Extract<DeviceRecord, { readonly kind: 'subscriptions' }>;

export interface IotCoreDeviceGatewayDependencies extends GatewayHooks {
  /** That of IoT Core: it is what devices sign in by. */
  readonly devices: DeviceRegistry;
  readonly clock?: Clock;
}

/** Of AWS: the gateway closes them. */
export interface IotCoreDeviceGatewayCalls {
  readonly kinesis: KinesisCalls;
  readonly table: DynamoTable;
  readonly iotData: IotDataCalls;
}

/**
 * Devices connect to AWS IoT Core, which authenticates and acknowledges them; its topic rules put what they send, and when they come, go and listen,
 * into a stream of Kinesis that is read here. The stream keeps what intake has not made durable.
 */
export class IotCoreDeviceGateway implements DeviceGateway {
  readonly ackMeans = 'provider-accepted';
  readonly #config: IotCoreDeviceGatewayConfig;
  readonly #dependencies: IotCoreDeviceGatewayDependencies;
  readonly #clock: Clock;
  readonly #open: () => Promise<IotCoreDeviceGatewayCalls>;
  /** Aborted once it closes and intake has had its time. */
  readonly #overdue = new AbortController();
  readonly #life = new StartedOnce('a gateway', () => this.#end());
  #running: Running | undefined;

  constructor(
    config: IotCoreDeviceGatewayConfig,
    dependencies: IotCoreDeviceGatewayDependencies,
    open = () => openCalls(config),
  ) {
    this.#config = config;
    this.#dependencies = dependencies;
    this.#clock = dependencies.clock ?? systemClock;
    this.#open = open;
  }

  start(intake: DeviceIntake, presence: PresenceListener, options: CallOptions = {}): Promise<void> {
    return this.#life.start((stopped) => this.#start(intake, presence, stopped), options);
  }

  async sendCommand(machine: MachineKey, command: DeviceCommand, options: CallOptions = {}): Promise<void> {
    throwIfAborted(options.signal);
    this.#life.check();
    if (command.payload.length > MAX_PAYLOAD_BYTES)
      throw new PortError('invalid_argument', `a command takes at most ${MAX_PAYLOAD_BYTES} bytes`);
    if (command.expiresAtMs <= this.#clock.nowMs())
      throw new PortError('invalid_argument', 'the command has expired already');
    const devices = await this.#dependencies.devices.listDevices(machineRef(machine).tenant, options);
    if (!devices.some((device) => device.enabled && device.machines.includes(machine)))
      throw new PortError('not_found', `no device speaks for ${machine}: bind one with tribo device add`);
    await this.#running!.commands.send(machine, command, options);
  }

  close(): Promise<void> {
    return this.#life.close();
  }

  async #start(intake: DeviceIntake, presence: PresenceListener, stopped: AbortSignal): Promise<void> {
    const { devices, onProblem, refuse } = this.#dependencies;
    const { deviceStream, errorStream, offerAgainMs } = this.#config;
    const calls = await this.#open();
    const bindings = new DeviceBindings(devices, this.#clock, onProblem);
    const commands = this.#commandSender(calls, bindings);
    const running: Running = { presence, bindings, calls, commands, subscriptions: [], connections: new Map() };
    this.#running = running;
    await commands.resume(stopped);
    const taking = new DeviceLogIntake<DeviceRecord>({
      ...{ intake, devices, bindings, offerAgainMs, overdue: this.#overdue.signal, refuse, onProblem },
      isForeign: (access, { topic }) => access.resolve(topic) === 'foreign-machine',
      read: (access, message) => this.#read(access, message, presence),
      tell: (device, deed) =>
        deed.kind === 'presence'
          ? this.#tellPresence(device, deed, running)
          : this.#tellSubscriptions(device, deed, commands),
    });
    const parts = { ...calls, config: this.#config, clock: this.#clock, onProblem };
    const handler: BatchHandler = (batch, over) => taking.handle(batch, over);
    for (const stream of [deviceStream, errorStream]) {
      if (stream === undefined) continue;
      const read = async () =>
        void running.subscriptions.push(await readRecords(stream, { ...parts, handler }, stopped));
      await atStart(read, { signal: stopped });
    }
  }

  async #end(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    const overdue = setTimeout(() => this.#overdue.abort(), this.#config.drainMs);
    await Promise.all(running.subscriptions.map((subscription) => subscription.close()));
    await running.commands.close();
    // Nobody waits any longer for what the registry has not answered.
    this.#overdue.abort();
    clearTimeout(overdue);
    running.bindings.close();
    for (const client of Object.values(running.calls) as readonly { close(): void }[]) client.close();
  }

  #commandSender({ table, iotData }: IotCoreDeviceGatewayCalls, bindings: DeviceBindings): CommandSender {
    const { timeoutMs, maxQueuedCommandsPerMachine: maxPerMachine, commandDoubtMs: doubtMs } = this.#config;
    return new CommandSender({
      table: new CommandTable(table, { timeoutMs, maxPerMachine, doubtMs }),
      clock: this.#clock,
      overdue: this.#overdue.signal,
      publish: (machine, { id, payload, expiresAtMs }, { signal }) => {
        const expiryS = Math.max(1, Math.floor((expiresAtMs - this.#clock.nowMs()) / 1000));
        const topic = deviceTopic({ kind: 'command', machine });
        const what = `publish the command ${id} to ${topic}`;
        return awsCall({ what, timeoutMs, signal, codes: IOT_CODES }, (stopped) =>
          iotData.publish(topic, payload, Math.min(expiryS, MAX_EXPIRY_S), stopped),
        );
      },
      speaksFor: async (device, machine, options) => {
        const access = bindings.known(device) ?? (await bindings.find(device, options));
        return access?.machines.has(machine) === true;
      },
      onProblem: this.#dependencies.onProblem,
    });
  }

  /** The message for intake, or why it is refused; undefined for a status, which is told. */
  #read(
    access: DeviceAccess,
    { topic, payload, atMs }: Message,
    presence: PresenceListener,
  ): DeviceMessage | RefusalReason | undefined {
    const named = access.resolve(topic);
    if (typeof named !== 'object' || named.kind !== 'status')
      return access.messageOf(topic, payload, this.#dependencies.mapping);
    const online = onlineOf(payload);
    if (online === undefined) return 'protocol-error';
    const event = { device: access.device.id, machines: [named.machine], by: 'status', online } as const;
    presence.presence({ ...event, atMs: atMs ?? this.#clock.nowMs() });
    return undefined;
  }

  /** Events may come twice, and in another order than that in which they happened. */
  async #tellPresence(
    device: Device,
    { session, online, isClean, atMs }: Presence,
    { connections, presence, commands }: Running,
  ): Promise<void> {
    const { commandSettleMs, commandDoubtMs } = this.#config;
    if (!online)
      for (const machine of device.machines) {
        const isGone = (listener: Listener) => listener.device === device.id && listener.session === session;
        await commands.gone(machine, isGone, atMs - (isClean ? commandSettleMs : commandDoubtMs));
      }
    const known = connections.get(device.id);
    const isOfThis = known === undefined || known.session === session;
    // A connection that ended does not begin again, and one that was followed by another ends nothing.
    if (online ? known && (isOfThis || known.atMs > atMs) : !isOfThis || known?.online === false) return;
    connections.set(device.id, { session, online, atMs });
    if (known?.online === online) return;
    presence.presence({ device: device.id, machines: device.machines, by: 'connection', online, atMs });
  }

  async #tellSubscriptions(
    device: Device,
    { session, isSubscribed, topics, atMs }: Subscriptions,
    commands: CommandSender,
  ): Promise<void> {
    for (const machine of device.machines) {
      if (!topics.includes(deviceTopic({ kind: 'command', machine }))) continue;
      // The end of its connection before may be told later, or be lost with its session.
      const isFormer = (listener: Listener) => listener.device === device.id && listener.session !== session;
      await commands.gone(machine, isFormer, atMs - this.#config.commandDoubtMs);
      if (isSubscribed) await commands.listens(machine, { device: device.id, session });
      else await commands.listensNoMore(machine, device.id);
    }
  }
}

interface Running {
  readonly presence: PresenceListener;
  readonly bindings: DeviceBindings;
  readonly calls: IotCoreDeviceGatewayCalls;
  readonly commands: CommandSender;
  readonly subscriptions: Subscription[];
  /** The newest of each device that was heard of: as many as there are in the registry at most. */
  readonly connections: Map<DeviceId, Pick<Presence, 'session' | 'online' | 'atMs'>>;
}

/** Of an MQTT 5 message. */
const MAX_EXPIRY_S = 4_294_967_295;

async function openCalls(config: IotCoreDeviceGatewayConfig): Promise<IotCoreDeviceGatewayCalls> {
  const { region, endpoint, stateTable, dataEndpoint } = config;
  return {
    kinesis: await openKinesis(config),
    table: await openDynamoTable({ region, endpoint, table: stateTable }),
    iotData: await openIotData({ region, endpoint: dataEndpoint }),
  };
}
