import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '#core/clock.ts';
import { retry } from '#core/delivery/retry.ts';
import { machineRef, type DeviceId, type MachineKey, type TenantId } from '#core/domain/ids.ts';
import { messageOf, PortError, throwIfAborted, type CallOptions } from '#core/errors.ts';
import type { DeviceAccess } from '#core/ingestion/device-access.ts';
import { DeviceBindings } from '#core/ingestion/device-bindings.ts';
import { onlineOf } from '#core/ingestion/device-status.ts';
import type { RefusalReason } from '#core/ingestion/intake-counters.ts';
import type {
  DeviceCommand,
  DeviceGateway,
  DeviceIntake,
  DeviceMessage,
  DevicePresence,
  GatewayHooks,
  PresenceListener,
} from '#core/ports/device-gateway.ts';
import type { Device, DeviceRegistry } from '#core/ports/device-registry.ts';
import { SentCommands } from '../../sent-commands.ts';
import { StartedOnce } from '../../started-once.ts';
import { Admission } from './admission.ts';
import type { BrokerMessage } from './broker-connection.ts';
import { BrokerLink } from './broker-link.ts';
import type { MqttDeviceGatewayConfig } from './config.ts';
import { DeviceTopics, OWN_STATUS, type OwnedTopic } from './device-topics.ts';
import { OrderedOffers } from './ordered-offers.ts';

export interface MqttDeviceGatewayDependencies extends GatewayHooks {
  readonly devices: DeviceRegistry;
  readonly clock: Clock;
}

/**
 * Devices connect to an MQTT 5 broker of the site, which authenticates and acknowledges them; this is its client. The broker keeps what it
 * acknowledged until intake has made it durable: subscriptions of QoS 1 in sessions that outlive connections.
 *
 * Readings and waveforms come over a session each, so that one kind can wait while the other goes on. Each has so much unacknowledged at most
 * as its Receive Maximum says; the rest waits at the broker.
 */
export class MqttDeviceGateway implements DeviceGateway {
  readonly ackMeans = 'provider-accepted';
  readonly #config: MqttDeviceGatewayConfig;
  readonly #dependencies: MqttDeviceGatewayDependencies;
  readonly #topics: DeviceTopics;
  readonly #sent: SentCommands;
  readonly #life = new StartedOnce('a gateway', () => this.#end());
  #running: Running | undefined;

  constructor(config: MqttDeviceGatewayConfig, dependencies: MqttDeviceGatewayDependencies) {
    this.#config = config;
    this.#dependencies = dependencies;
    this.#topics = new DeviceTopics(config.topicRoot);
    this.#sent = new SentCommands(config.maxRememberedCommands, dependencies.clock);
  }

  start(intake: DeviceIntake, presence: PresenceListener, options: CallOptions = {}): Promise<void> {
    return this.#life.start((stopped) => this.#start(intake, presence, stopped), options);
  }

  async sendCommand(machine: MachineKey, command: DeviceCommand, options: CallOptions = {}): Promise<void> {
    throwIfAborted(options.signal);
    this.#life.check();
    const { maxPayloadBytes } = this.#config;
    if (command.payload.length > maxPayloadBytes)
      throw new PortError('invalid_argument', `a command takes at most ${maxPayloadBytes} bytes`);
    if (command.expiresAtMs <= this.#dependencies.clock.nowMs())
      throw new PortError('invalid_argument', 'the command has expired already');
    const registered = await this.#dependencies.devices.listDevices(machineRef(machine).tenant, options);
    const devices = registered.filter((device) => device.enabled && device.machines.includes(machine));
    if (devices.length === 0)
      throw new PortError('not_found', `no device speaks for ${machine}: bind one with tribo device add`);
    await this.#sent.once(machine, command, () => this.#publishCommand(machine, command, devices, options));
  }

  problem(): string | undefined {
    const { telemetry, waveforms } = this.#running ?? {};
    const why = telemetry?.problem ?? waveforms?.problem;
    return why === undefined ? undefined : `what devices send waits at their broker: ${why}`;
  }

  close(): Promise<void> {
    return this.#life.close();
  }

  async #start(intake: DeviceIntake, presence: PresenceListener, signal: AbortSignal): Promise<void> {
    const { devices, clock, onProblem, mapping } = this.#dependencies;
    const { maxInFlightTelemetry, maxInFlightWaveforms } = this.#config;
    const bindings = new DeviceBindings(devices, clock, onProblem);
    const shared = (topic: string) => ({ topic: this.#shared(topic), qos: 1 }) as const;
    const status = (topic: string) => ({ topic: this.#topics.everyDevice(topic), qos: 0 }) as const;
    const telemetry = this.#link('telemetry', maxInFlightTelemetry, [
      ...[OWN_STATUS, `${ANY_MACHINE}/status`].map(status),
      // After them: of a topic that is both, the last is subscribed to.
      ...[`${ANY_MACHINE}/telemetry`, ...(mapping?.topics ?? [])].map(shared),
    ]);
    const waveforms = this.#link('waveform', maxInFlightWaveforms, [shared(`${ANY_MACHINE}/waveform/+`)]);
    const { offerAgainMs } = this.#config;
    const offers = new OrderedOffers({ intake, offerAgainMs, closing: this.#life.closing, onProblem });
    this.#running = { offers, presence, bindings, telemetry, waveforms };
    for (const link of [telemetry, waveforms]) await link.open({ signal });
  }

  async #end(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    running.bindings.close();
    const { clock } = this.#dependencies;
    const untilMs = clock.monotonicMs() + this.#config.drainMs;
    while (running.offers.atIntake > 0 && clock.monotonicMs() < untilMs) await delay(DRAIN_POLL_MS);
    // Acknowledgements are written after the messages of a turn are settled.
    await new Promise((resolve) => setImmediate(resolve));
    await Promise.all([running.telemetry.close(), running.waveforms.close()]);
  }

  #link(kind: string, receiveMaximum: number, filters: readonly { topic: string; qos: 0 | 1 }[]): BrokerLink {
    const admission = new Admission({
      maxUnawaited: receiveMaximum,
      senderOf: ({ topic }) => this.#topics.read(topic)?.device ?? '',
      admit: (message) => this.#admit(message),
    });
    return new BrokerLink(this.#config, {
      clientId: `${this.#config.clientId}.${kind}`,
      ...{ receiveMaximum, filters },
      onMessage: (message) => {
        if (!admission.take(message)) this.#refuse('back-pressure', message, this.#tenantOf(message));
      },
      onLost: () => admission.prune(),
      onProblem: this.#dependencies.onProblem,
    });
  }

  #shared(topic: string): string {
    const [ofAll, { shareName }] = [this.#topics.everyDevice(topic), this.#config];
    return shareName === undefined ? ofAll : `$share/${shareName}/${ofAll}`;
  }

  #tenantOf({ topic }: BrokerMessage): TenantId | undefined {
    const device = this.#topics.read(topic)?.device;
    return device && this.#running?.bindings.known(device)?.device.tenant;
  }

  /** Resolves when the next may be admitted: that is before intake has taken this one. What comes while it closes stays at the broker. */
  async #admit(message: BrokerMessage): Promise<void> {
    const { bindings } = this.#running!;
    const owned = this.#topics.read(message.topic);
    if (owned === undefined) {
      this.#refuse('foreign-topic', message);
      return;
    }
    const known = bindings.known(owned.device);
    let refusal = this.#handle(known, owned, message);
    // It may have been registered, or bound to the machine, a moment ago.
    if (refusal === 'bad-credentials' || refusal === 'foreign-machine')
      refusal = this.#handle(await this.#find(owned.device), owned, message);
    if (refusal !== undefined) this.#refuse(refusal, message, known?.device.tenant);
  }

  /** Does with a message what it is for, or says why it is refused. */
  #handle(access: DeviceAccess | undefined, owned: OwnedTopic, message: BrokerMessage): RefusalReason | undefined {
    if (this.#life.closing.aborted || message.comesAgain?.aborted) return undefined;
    if (access === undefined) return 'bad-credentials';
    const { payload, traceparent } = message;
    if (owned.topic === OWN_STATUS) return this.#tell(message, access.device, access.device.machines, 'connection');
    const topic = access.resolve(owned.topic);
    if (typeof topic === 'object' && topic.kind === 'status')
      return this.#tell(message, access.device, [topic.machine], 'status');
    if (payload.length > this.#config.maxPayloadBytes) return 'oversize';
    const read = access.messageOf(owned.topic, payload, this.#dependencies.mapping);
    if (typeof read === 'string') return read;
    this.#take(traceparent === undefined ? read : { ...read, traceparent }, message);
    return undefined;
  }

  #tell(
    { payload, acknowledge }: BrokerMessage,
    { id: device }: Device,
    machines: readonly MachineKey[],
    by: DevicePresence['by'],
  ): RefusalReason | undefined {
    const online = onlineOf(payload);
    if (online === undefined) return 'protocol-error';
    this.#running!.presence.presence({ device, machines, by, online, atMs: this.#dependencies.clock.nowMs() });
    // It is to be, where a mapping's topics have it come at QoS 1 too.
    acknowledge();
    return undefined;
  }

  /** Of the registry, which is asked until it answers, though not for each message; undefined for a device that may not speak, or when the gateway closes. */
  async #find(id: DeviceId): Promise<DeviceAccess | undefined> {
    const { onProblem } = this.#dependencies;
    const { closing: signal } = this.#life;
    const find = async () => {
      try {
        return await this.#running!.bindings.recheck(id, { signal });
      } catch (error) {
        throw new PortError('unavailable', messageOf(error), { cause: error });
      }
    };
    const onRetry = (error: unknown) => onProblem(`looking up the device ${id}`, error);
    return retry(find, UNTIL_IT_ANSWERS, { signal, onRetry }).catch(() => undefined);
  }

  /** The broker has acknowledged it to the device: all that is left is to count it, and to let go of it. */
  #refuse(reason: RefusalReason, message: BrokerMessage, tenant?: TenantId): void {
    this.#dependencies.refuse(reason, tenant);
    message.acknowledge();
  }

  /** Ends in an acknowledgement to the broker, or in none where the message comes again or the gateway closes: never in one for what is not durable. */
  #take(message: DeviceMessage, { acknowledge, comesAgain }: BrokerMessage): void {
    void this.#running!.offers.offer(message, comesAgain).then((isDurable) => {
      if (isDurable) acknowledge();
    });
  }

  async #publishCommand(
    machine: MachineKey,
    { id, payload, expiresAtMs }: DeviceCommand,
    devices: readonly Device[],
    { signal }: CallOptions,
  ): Promise<void> {
    // In whole seconds, and one less: a broker that counts whole seconds, as Mosquitto does, keeps it up to one longer, and
    // it must not live longer than it may. With less than one left it is now or never.
    const leftS = Math.floor((expiresAtMs - this.#dependencies.clock.nowMs()) / 1000);
    const expiryS = Math.min(MAX_EXPIRY_S, leftS - 1);
    const isKept = expiryS > 0;
    const sent = devices.map((device) => {
      const topic = this.#topics.command(device.id, machine);
      const properties = { userProperties: { id }, ...(isKept && { messageExpiryInterval: expiryS }) };
      const packet = { topic, payload: Buffer.from(payload), qos: isKept ? 1 : 0, properties } as const;
      return this.#running!.telemetry.publish(packet, signal);
    });
    if ((await Promise.all(sent)).includes(true)) return;
    const message = `no device that speaks for ${machine} listens for commands, or has a session at the broker that does`;
    throw new PortError(
      'failed_precondition',
      `${message}: let it subscribe to ${this.#topics.command(devices[0]!.id, machine)}`,
    );
  }
}

interface Running {
  readonly offers: OrderedOffers;
  readonly presence: PresenceListener;
  readonly bindings: DeviceBindings;
  readonly telemetry: BrokerLink;
  readonly waveforms: BrokerLink;
}

const ANY_MACHINE = 'tribo/v1/+/+/+';
const UNTIL_IT_ANSWERS = { maxAttempts: Infinity, firstDelayMs: 100, longestDelayMs: 5000 };
/** Of a message expiry interval (MQTT 5.0, 3.3.2.3.3). */
const MAX_EXPIRY_S = 4_294_967_295;
const DRAIN_POLL_MS = 5;
