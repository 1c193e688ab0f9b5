import { systemClock, type Clock } from '#core/clock.ts';
import { isName, machineRef, type DeviceId, type MachineKey } from '#core/domain/ids.ts';
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
import type { DeliveryBatch, Subscription } from '#core/ports/event-stream.ts';
import { orStopWaiting } from '#core/stop-waiting.ts';
import { settleEach } from '../../settle-each.ts';
import { awsCall } from '../aws-errors.ts';
import { openDynamoTable, type DynamoTable } from '../dynamo-table.ts';
import { IOT_CODES } from '../iot-codes.ts';
import { openKinesis, type KinesisCalls } from '../kinesis-event-stream/client.ts';
import { openIotData, type IotDataCalls } from './client.ts';
import { CommandSender } from './command-sender.ts';
import { CommandTable, type Listener } from './command-table.ts';
import type { IotCoreDeviceGatewayConfig } from './config.ts';
import type { DeviceRecord } from './device-record.ts';
import { readRecords, type RecordEvent } from './record-source.ts';

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
  #running: Running | undefined;
  #isStarted = false;
  #closing: Promise<void> | undefined;

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

  async start(intake: DeviceIntake, presence: PresenceListener, { signal }: CallOptions = {}): Promise<void> {
    throwIfAborted(signal);
    if (this.#isStarted || this.#closing) throw new PortError('failed_precondition', 'a gateway is started once');
    this.#isStarted = true;
    const { devices, onProblem } = this.#dependencies;
    const calls = await this.#open();
    const bindings = new DeviceBindings(devices, this.#clock, onProblem);
    const commands = this.#commandSender(calls);
    this.#running = { intake, presence, bindings, calls, commands, subscriptions: [], connections: new Map() };
    try {
      await commands.resume();
      const { deviceStream, errorStream } = this.#config;
      for (const stream of [deviceStream, errorStream]) {
        if (stream === undefined) continue;
        const parts = { ...calls, config: this.#config, clock: this.#clock, onProblem };
        const handler = (batch: DeliveryBatch, stopped: AbortSignal) => this.#handle(batch, stopped);
        this.#running.subscriptions.push(await readRecords(stream, { ...parts, handler }, signal));
      }
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async sendCommand(machine: MachineKey, command: DeviceCommand, options: CallOptions = {}): Promise<void> {
    throwIfAborted(options.signal);
    if (this.#running === undefined || this.#closing)
      throw new PortError('failed_precondition', 'the gateway is not started');
    if (command.payload.length > MAX_PAYLOAD_BYTES)
      throw new PortError('invalid_argument', `a command takes at most ${MAX_PAYLOAD_BYTES} bytes`);
    if (command.expiresAtMs <= this.#clock.nowMs())
      throw new PortError('invalid_argument', 'the command has expired already');
    const devices = await this.#dependencies.devices.listDevices(machineRef(machine).tenant, options);
    if (!devices.some((device) => device.enabled && device.machines.includes(machine)))
      throw new PortError('not_found', `no device speaks for ${machine}: bind one with tribo device add`);
    await this.#running.commands.send(machine, command, options);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    const overdue = setTimeout(() => this.#overdue.abort(), this.#config.drainMs);
    await Promise.all(running.subscriptions.map((subscription) => subscription.close()));
    clearTimeout(overdue);
    await running.commands.close();
    running.bindings.close();
    for (const client of Object.values(running.calls) as readonly { close(): void }[]) client.close();
  }

  #commandSender({ table, iotData }: IotCoreDeviceGatewayCalls): CommandSender {
    const { timeoutMs, maxQueuedCommandsPerMachine: maxPerMachine, commandDoubtMs: doubtMs } = this.#config;
    return new CommandSender({
      table: new CommandTable(table, { timeoutMs, maxPerMachine, doubtMs }),
      clock: this.#clock,
      publish: (machine, { id, payload, expiresAtMs }) => {
        const expiryS = Math.max(1, Math.floor((expiresAtMs - this.#clock.nowMs()) / 1000));
        const topic = deviceTopic({ kind: 'command', machine });
        return awsCall({ what: `publish the command ${id} to ${topic}`, timeoutMs, codes: IOT_CODES }, (signal) =>
          iotData.publish(topic, payload, Math.min(expiryS, MAX_EXPIRY_S), signal),
        );
      },
      speaksFor: async (device, machine) => (await this.#accessOf(device))?.machines.has(machine) === true,
      onProblem: this.#dependencies.onProblem,
    });
  }

  /** Settles what intake made durable; the rest comes again. */
  async #handle(batch: DeliveryBatch, stopped: AbortSignal): Promise<void> {
    const { intake, bindings } = this.#running!;
    if (!intake.isReady()) await orStopWaiting(intake.whenReady(), stopped);
    const records = batch.events.map((event) => (event as RecordEvent).record);
    // Of messages that come from one device the order is that of the stream: none is held up by a look into the registry.
    await Promise.all([...strangers(records, bindings)].map((device) => bindings.find(device)));
    let lifecycle = Promise.resolve();
    const taken = records.map((record) => {
      if (record.kind === 'message') return this.#take(record);
      const told = lifecycle.then(() => this.#tell(record));
      lifecycle = told.catch(() => undefined);
      return told;
    });
    const { offerAgainMs } = this.#config;
    const onProblem = (error: unknown) => this.#dependencies.onProblem('taking what devices sent', error);
    await settleEach(batch, taken, { overdue: this.#overdue.signal, offerAgainMs, onProblem });
  }

  /** Resolves once intake has made the message durable, or it is refused, which IoT Core's policies should have done. */
  async #take(record: Message): Promise<void> {
    const { intake, bindings } = this.#running!;
    const access = bindings.known(record.clientId as DeviceId);
    const read = access === undefined ? 'bad-credentials' : this.#read(access, record);
    if (typeof read === 'string') this.#dependencies.refuse(read, access?.device.tenant);
    if (typeof read !== 'object') return;
    await intake.accept(read);
  }

  /** The message for intake, or why it is refused; undefined for a status, which is told. */
  #read(access: DeviceAccess, { topic, payload, atMs }: Message): DeviceMessage | RefusalReason | undefined {
    const named = access.resolve(topic);
    if (typeof named !== 'object' || named.kind !== 'status')
      return access.messageOf(topic, payload, this.#dependencies.mapping);
    const online = onlineOf(payload);
    if (online === undefined) return 'protocol-error';
    const event = { device: access.device.id, machines: [named.machine], by: 'status', online } as const;
    this.#running!.presence.presence({ ...event, atMs: atMs ?? this.#clock.nowMs() });
    return undefined;
  }

  async #tell(record: Presence | Subscriptions): Promise<void> {
    const { clientId } = record;
    const device = isName(clientId) ? await this.#dependencies.devices.getDevice(clientId as DeviceId) : undefined;
    // Clients of the account that are no devices come and go, too.
    if (device === undefined) return;
    if (record.kind === 'presence') await this.#tellPresence(device, record);
    else await this.#tellSubscriptions(device, record);
  }

  /** Events may come twice, and in another order than that in which they happened. */
  async #tellPresence(device: Device, { session, online, isClean, atMs }: Presence): Promise<void> {
    const { connections, presence, commands } = this.#running!;
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

  async #tellSubscriptions(device: Device, { session, isSubscribed, topics, atMs }: Subscriptions): Promise<void> {
    const { commands } = this.#running!;
    for (const machine of device.machines) {
      if (!topics.includes(deviceTopic({ kind: 'command', machine }))) continue;
      // The end of its connection before may be told later, or be lost with its session.
      const isFormer = (listener: Listener) => listener.device === device.id && listener.session !== session;
      await commands.gone(machine, isFormer, atMs - this.#config.commandDoubtMs);
      if (isSubscribed) await commands.listens(machine, { device: device.id, session });
      else await commands.listensNoMore(machine, device.id);
    }
  }

  async #accessOf(device: DeviceId): Promise<DeviceAccess | undefined> {
    const { bindings } = this.#running!;
    return bindings.known(device) ?? (await bindings.find(device));
  }
}

interface Running {
  readonly intake: DeviceIntake;
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

/** Devices to look up: that were not heard of before, or seem to speak for another's machine. */
function strangers(records: readonly DeviceRecord[], bindings: DeviceBindings): ReadonlySet<DeviceId> {
  const found = new Set<DeviceId>();
  for (const record of records) {
    if (record.kind !== 'message' || !isName(record.clientId)) continue;
    const device = record.clientId as DeviceId;
    const access = bindings.known(device);
    if (access === undefined || access.resolve(record.topic) === 'foreign-machine') found.add(device);
  }
  return found;
}

async function openCalls(config: IotCoreDeviceGatewayConfig): Promise<IotCoreDeviceGatewayCalls> {
  const { region, endpoint, stateTable, dataEndpoint } = config;
  return {
    kinesis: await openKinesis(config),
    table: await openDynamoTable({ region, endpoint, table: stateTable }),
    iotData: await openIotData({ region, endpoint: dataEndpoint }),
  };
}
