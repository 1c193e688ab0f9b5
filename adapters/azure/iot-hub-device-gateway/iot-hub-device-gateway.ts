import { systemClock, type Clock } from '#core/clock.ts';
import { atStart } from '#core/delivery/at-start.ts';
import type { DeviceId, MachineKey } from '#core/domain/ids.ts';
import type { CallOptions } from '#core/errors.ts';
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
import type { Device, DeviceRegistry } from '#core/ports/device-registry.ts';
import type { DeliveryBatch, Subscription } from '#core/ports/event-stream.ts';
import { DeviceLogIntake } from '../../device-log-intake.ts';
import { StartedOnce } from '../../started-once.ts';
import { openEventHubs, type EventHubsClient } from '../event-hubs-event-stream/client.ts';
import { openLeaseBlobs, type LeaseBlobs } from '../event-hubs-event-stream/lease-blobs.ts';
import { openCloudToDevice, type CloudToDeviceCalls } from './client.ts';
import { CommandSender } from './command-sender.ts';
import type { IotHubDeviceGatewayConfig } from './config.ts';
import { machineNamed, type DeviceRecord } from './device-record.ts';
import { MachineDevices } from './machine-devices.ts';
import { readRecords } from './record-source.ts';
import { SentNotes } from './sent-notes.ts';

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
  readonly #life = new StartedOnce('a gateway', () => this.#end());
  #running: Running | undefined;

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

  start(intake: DeviceIntake, presence: PresenceListener, options: CallOptions = {}): Promise<void> {
    return this.#life.start((stopped) => this.#start(intake, presence, stopped), options);
  }

  async sendCommand(machine: MachineKey, command: DeviceCommand, options: CallOptions = {}): Promise<void> {
    this.#life.check();
    await this.#running!.commands.send(machine, command, options);
  }

  close(): Promise<void> {
    return this.#life.close();
  }

  async #start(intake: DeviceIntake, presence: PresenceListener, stopped: AbortSignal): Promise<void> {
    const { devices, onProblem, refuse } = this.#dependencies;
    const { timeoutMs, maxRememberedCommands: maxRemembered, eventHub, offerAgainMs } = this.#config;
    const calls = await this.#open();
    const clock = this.#clock;
    const bindings = new DeviceBindings(devices, clock, onProblem);
    const speakers = new MachineDevices(devices);
    const notes = new SentNotes({ blobs: calls.blobs, eventHub, clock, onProblem });
    const sending = {
      calls: calls.cloudToDevice,
      devices: speakers,
      notes,
      clock,
      timeoutMs,
      maxRemembered,
      onProblem,
    };
    const running: Running = {
      ...{ presence, calls, bindings, speakers },
      ...{ commands: new CommandSender(sending), connections: new Map() },
    };
    this.#running = running;
    const taking = new DeviceLogIntake<DeviceRecord>({
      ...{ intake, devices, bindings, offerAgainMs, overdue: this.#overdue.signal, refuse, onProblem },
      isForeign: ({ device }, { properties: { kind, machine } }) =>
        kind !== undefined && machineNamed(machine, device.machines) === undefined,
      read: (access, message) => this.#read(access, message),
      tell: (device, deed) => this.#tell(device, deed, running),
    });
    const parts = {
      ...{ config: this.#config, hubs: calls.hubs, blobs: calls.blobs, clock },
      handler: (batch: DeliveryBatch, over: AbortSignal) => taking.handle(batch, over),
      onFailure: (error: unknown) => onProblem(`reading ${eventHub}`, error),
    };
    const read = async () => void (running.subscription = await readRecords(parts, stopped));
    await atStart(read, { signal: stopped });
  }

  async #end(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    const overdue = setTimeout(() => this.#overdue.abort(), this.#config.drainMs);
    await running.subscription?.close();
    clearTimeout(overdue);
    await running.commands.close();
    // Nobody waits any longer for what the registry has not answered.
    this.#overdue.abort();
    running.speakers.close();
    running.bindings.close();
    await running.calls.hubs.close();
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
  #tell({ id: device, machines }: Device, { online, order, atMs }: Presence, { connections, presence }: Running): void {
    const known = connections.get(device);
    if (known !== undefined && known.order >= order) return;
    connections.set(device, { order, online });
    if (known?.online === online) return;
    presence.presence({ device, machines, by: 'connection', online, atMs });
  }
}

interface Running {
  readonly presence: PresenceListener;
  readonly calls: IotHubDeviceGatewayCalls;
  readonly bindings: DeviceBindings;
  readonly speakers: MachineDevices;
  readonly commands: CommandSender;
  /** The newest of each device that was heard of: as many as there are in the registry at most. */
  readonly connections: Map<DeviceId, Pick<Presence, 'order' | 'online'>>;
  subscription?: Subscription;
}

async function openCalls(config: IotHubDeviceGatewayConfig): Promise<IotHubDeviceGatewayCalls> {
  return {
    hubs: await openEventHubs(config),
    blobs: await openLeaseBlobs(config),
    cloudToDevice: await openCloudToDevice(config),
  };
}
