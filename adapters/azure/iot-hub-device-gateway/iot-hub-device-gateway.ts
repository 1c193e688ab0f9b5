import { systemClock, type Clock } from '#core/clock.ts';
import { isName, type DeviceId, type MachineKey } from '#core/domain/ids.ts';
import { PortError, throwIfAborted, type CallOptions } from '#core/errors.ts';
import type { DeviceAccess } from '#core/ingestion/device-access.ts';
import { DeviceBindings } from '#core/ingestion/device-bindings.ts';
import type { RefusalReason } from '#core/ingestion/intake-counters.ts';
import type {
  DeviceCommand,
  DeviceGateway,
  DeviceIntake,
  DeviceMessage,
  GatewayHooks,
  PresenceListener,
} from '#core/ports/device-gateway.ts';
import type { DeviceRegistry } from '#core/ports/device-registry.ts';
import type { DeliveryBatch, Subscription } from '#core/ports/event-stream.ts';
import { orStopWaiting } from '#core/stop-waiting.ts';
import { settleEach } from '../../settle-each.ts';
import { openEventHubs, type EventHubsClient } from '../event-hubs-event-stream/client.ts';
import { openLeaseBlobs, type LeaseBlobs } from '../event-hubs-event-stream/lease-blobs.ts';
import { openCloudToDevice, type CloudToDeviceCalls } from './client.ts';
import { CommandSender } from './command-sender.ts';
import type { IotHubDeviceGatewayConfig } from './config.ts';
import { machineNamed, type DeviceRecord } from './device-record.ts';
import { MachineDevices } from './machine-devices.ts';
import { readRecords, type RecordEvent } from './record-source.ts';

type Message = Extract<DeviceRecord, { readonly kind: 'message' }>;
type Presence = Extract<DeviceRecord, { readonly kind: 'presence' }>;

export interface IotHubDeviceGatewayDependencies extends GatewayHooks {
  /** That of the hub: it is what devices sign in by. */
  readonly devices: DeviceRegistry;
  readonly clock?: Clock;
}

/** Of Azure: the gateway closes them. */
export interface IotHubDeviceGatewayCalls {
  readonly hubs: EventHubsClient;
  readonly blobs: LeaseBlobs;
  readonly cloudToDevice: CloudToDeviceCalls;
}

/**
 * Devices connect to Azure IoT Hub, which authenticates and acknowledges them; its routes put what they send, and when they come and go, into an
 * event hub that is read here, and that keeps what intake has not made durable. Commands are the hub's cloud-to-device messages.
 */
export class IotHubDeviceGateway implements DeviceGateway {
  readonly ackMeans = 'provider-accepted';
  readonly #config: IotHubDeviceGatewayConfig;
  readonly #dependencies: IotHubDeviceGatewayDependencies;
  readonly #clock: Clock;
  readonly #open: () => Promise<IotHubDeviceGatewayCalls>;
  /** Aborted once it closes and intake has had its time. */
  readonly #overdue = new AbortController();
  #running: Running | undefined;
  #starting: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(
    config: IotHubDeviceGatewayConfig,
    dependencies: IotHubDeviceGatewayDependencies,
    open = () => openCalls(config),
  ) {
    this.#config = config;
    this.#dependencies = dependencies;
    this.#clock = dependencies.clock ?? systemClock;
    this.#open = open;
  }

  async start(intake: DeviceIntake, presence: PresenceListener, { signal }: CallOptions = {}): Promise<void> {
    throwIfAborted(signal);
    if (this.#starting || this.#closing) throw new PortError('failed_precondition', 'a gateway is started once');
    this.#starting = this.#start(intake, presence, signal);
    try {
      await this.#starting;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async sendCommand(machine: MachineKey, command: DeviceCommand, options: CallOptions = {}): Promise<void> {
    if (this.#running?.subscription === undefined || this.#closing)
      throw new PortError('failed_precondition', 'the gateway is not started');
    await this.#running.commands.send(machine, command, options);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #start(intake: DeviceIntake, presence: PresenceListener, signal: AbortSignal | undefined): Promise<void> {
    const { devices, onProblem } = this.#dependencies;
    const { timeoutMs, maxRememberedCommands: maxRemembered, eventHub } = this.#config;
    const calls = await this.#open();
    const clock = this.#clock;
    const bindings = new DeviceBindings(devices, clock, onProblem);
    const speakers = new MachineDevices(devices);
    const sending = { calls: calls.cloudToDevice, devices: speakers, clock, timeoutMs, maxRemembered, onProblem };
    const commands = new CommandSender(sending);
    const running: Running = { intake, presence, calls, bindings, speakers, commands, connections: new Map() };
    this.#running = running;
    running.subscription = await readRecords(
      {
        ...{ config: this.#config, hubs: calls.hubs, blobs: calls.blobs, clock },
        handler: (batch, stopped) => this.#handle(batch, stopped, running),
        onFailure: (error) => onProblem(`reading ${eventHub}`, error),
      },
      signal,
    );
  }

  async #close(): Promise<void> {
    await this.#starting?.catch(() => undefined);
    const running = this.#running;
    if (running === undefined) return;
    const overdue = setTimeout(() => this.#overdue.abort(), this.#config.drainMs);
    await running.subscription?.close();
    clearTimeout(overdue);
    await running.commands.close();
    running.speakers.close();
    running.bindings.close();
    await running.calls.hubs.close();
  }

  /** Settles what intake made durable; the rest comes again. */
  async #handle(batch: DeliveryBatch, stopped: AbortSignal, running: Running): Promise<void> {
    const { intake, bindings } = running;
    if (!intake.isReady()) await orStopWaiting(intake.whenReady(), stopped);
    const records = batch.events.map((event) => (event as RecordEvent).record);
    // Of messages that come from one device the order is that of the hub: none is held up by a look into the registry.
    await Promise.all([...strangers(records, bindings)].map((device) => bindings.find(device)));
    let presences = Promise.resolve();
    const taken = records.map((record) => {
      if (record.kind === 'message') return this.#take(record, running);
      const told = presences.then(() => this.#tell(record, running));
      presences = told.catch(() => undefined);
      return told;
    });
    const { offerAgainMs } = this.#config;
    const onProblem = (error: unknown) => this.#dependencies.onProblem('taking what devices sent', error);
    await settleEach(batch, taken, { overdue: this.#overdue.signal, offerAgainMs, onProblem });
  }

  /** Resolves once intake has made the message durable, or it is refused. */
  async #take(message: Message, { intake, bindings }: Running): Promise<void> {
    const access = bindings.known(message.device as DeviceId);
    const read = access === undefined ? 'bad-credentials' : this.#read(access, message);
    if (typeof read === 'string') this.#dependencies.refuse(read, access?.device.tenant);
    else await intake.accept(read);
  }

  /** The message for intake, or why it is refused. */
  #read(access: DeviceAccess, { device, properties, payload }: Message): DeviceMessage | RefusalReason {
    const { kind, machine, sensor } = properties;
    const waveform = typeof sensor === 'string' && { waveform: `waveform/${sensor}` };
    const ends: Readonly<Record<string, string>> = { telemetry: 'telemetry', ...waveform };
    const end = typeof kind === 'string' ? ends[kind] : undefined;
    // What says nothing of itself is as on a foreign topic.
    const topic = `devices/${device}/messages/events/`;
    if (end === undefined) return access.messageOf(topic, payload, this.#dependencies.mapping);
    const named = machineNamed(machine, access.device.machines);
    return named === undefined ? 'foreign-machine' : access.messageOf(`tribo/v1/${named}/${end}`, payload, undefined);
  }

  /** Events may come twice, and in another order than that in which they happened. */
  async #tell({ device: id, online, order, atMs }: Presence, { connections, presence }: Running): Promise<void> {
    const known = connections.get(id);
    if (known !== undefined && known.order >= order) return;
    const device = isName(id) ? await this.#dependencies.devices.getDevice(id as DeviceId) : undefined;
    // Devices of the hub that are none of Tribo's come and go, too.
    if (device === undefined) return;
    connections.set(id, { order, online });
    if (known?.online === online) return;
    presence.presence({ device: device.id, machines: device.machines, by: 'connection', online, atMs });
  }
}

interface Running {
  readonly intake: DeviceIntake;
  readonly presence: PresenceListener;
  readonly calls: IotHubDeviceGatewayCalls;
  readonly bindings: DeviceBindings;
  readonly speakers: MachineDevices;
  readonly commands: CommandSender;
  /** The newest of each device that was heard of: as many as there are in the registry at most. */
  readonly connections: Map<string, Pick<Presence, 'order' | 'online'>>;
  subscription?: Subscription;
}

/** Devices to look up: that were not heard of before, or seem to speak for another's machine. */
function strangers(records: readonly DeviceRecord[], bindings: DeviceBindings): ReadonlySet<DeviceId> {
  const found = new Set<DeviceId>();
  for (const record of records) {
    if (record.kind !== 'message' || !isName(record.device)) continue;
    const device = record.device as DeviceId;
    const access = bindings.known(device);
    const { kind, machine } = record.properties;
    if (access === undefined || (kind !== undefined && machineNamed(machine, access.device.machines) === undefined))
      found.add(device);
  }
  return found;
}

async function openCalls(config: IotHubDeviceGatewayConfig): Promise<IotHubDeviceGatewayCalls> {
  return {
    hubs: await openEventHubs(config),
    blobs: await openLeaseBlobs(config),
    cloudToDevice: await openCloudToDevice(config),
  };
}
