import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { createServer as createTlsServer } from 'node:tls';
import { Aedes, type AedesOptions, type AuthenticateError, type Client, type PublishPacket } from 'aedes';
import type { Clock } from '#core/clock.ts';
import { isName, machineRef, type DeviceId, type MachineKey } from '#core/domain/ids.ts';
import { PortError, throwIfAborted, type CallOptions } from '#core/errors.ts';
import { onlineOf } from '#core/ingestion/device-status.ts';
import type { RefusalReason } from '#core/ingestion/intake-counters.ts';
import { offerAgain } from '#core/ingestion/offer-again.ts';
import { RegistryWatch } from '#core/ingestion/registry-watch.ts';
import type {
  DeviceCommand,
  DeviceGateway,
  DeviceIntake,
  DeviceMessage,
  GatewayHooks,
  PresenceListener,
} from '#core/ports/device-gateway.ts';
import type { Device, DeviceRegistry } from '#core/ports/device-registry.ts';
import { CommandDispatcher } from './command-dispatcher.ts';
import { CommandQueue } from './command-queue.ts';
import type { AedesDeviceGatewayConfig, Certificate, OnTlsRenewal } from './config.ts';
import { ConnectionEnded, DeviceConnection, type ConnectionHost } from './device-connection.ts';

export interface AedesDeviceGatewayDependencies extends GatewayHooks {
  readonly devices: DeviceRegistry;
  readonly clock: Clock;
  /** Has the listener told of each certificate that takes the place of the one before. */
  readonly onTlsRenewal?: OnTlsRenewal | undefined;
}

/**
 * An MQTT 3.1.1 broker that devices publish to. aedes keeps the protocol; nothing that a device publishes is routed inside it: data goes
 * to the intake, which makes it durable before the acknowledgement, and status goes to the presence listener.
 *
 * - A device connects with its id and secret, under its id as client id, or under `<id>:<suffix>` for further connections.
 * - It publishes for the machines it is bound to, and subscribes to their command topics; anything else is refused and counted.
 * - Sessions are not kept (CONNACK says so): commands wait in a queue of their own, until a device subscribes and acknowledges them.
 * - QoS 2 is durable before PUBREC; its resends are duplicates by their message id or content.
 */
export class AedesDeviceGateway implements DeviceGateway {
  readonly ackMeans = 'tribo-durable';
  readonly #config: AedesDeviceGatewayConfig;
  readonly #dependencies: AedesDeviceGatewayDependencies;
  readonly #connectionOf = new WeakMap<Client, DeviceConnection>();
  readonly #connections = new Set<DeviceConnection>();
  readonly #byDevice = new Map<DeviceId, Set<DeviceConnection>>();
  readonly #waiting = new Set<DeviceConnection>();
  readonly #host: ConnectionHost;
  #intake!: DeviceIntake;
  #presence!: PresenceListener;
  #running: { broker: Aedes; server: Server; queue: CommandQueue; commands: CommandDispatcher } | undefined;
  #registry: RegistryWatch | undefined;
  #checkTimer: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;
  #withAcknowledgements: DeviceConnection[] = [];
  #continuing: TakenMessage[] = [];
  /** Of messages that intake refused, and that are offered again. */
  #heldBytes = 0;

  constructor(config: AedesDeviceGatewayConfig, dependencies: AedesDeviceGatewayDependencies) {
    this.#config = config;
    this.#dependencies = dependencies;
    this.#host = {
      clock: dependencies.clock,
      frameLimits: {
        connectBytes: MAX_CONNECT_BYTES,
        publishBytes: config.maxPayloadBytes + MAX_TOPIC_BYTES,
        otherBytes: MAX_OTHER_PACKET_BYTES,
      },
      maxInFlightMessages: config.maxInFlightMessages,
      maxInFlightBytes: config.maxInFlightBytes,
      mayRead: () => this.#intake.isReady() && this.#closing === undefined,
      mayHoldMore: () => this.#heldBytes < config.maxHeldBytes,
      waits: (connection) => this.#waitForIntake(connection),
      refused: (connection) => dependencies.refuse('oversize', connection.device?.tenant),
    };
  }

  /** The port that it listens on; for a configured 0 the one the system chose. 0 while it does not listen. */
  get port(): number {
    const address = this.#running?.server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  get connections(): number {
    return this.#connections.size;
  }

  async start(intake: DeviceIntake, presence: PresenceListener, options: CallOptions = {}): Promise<void> {
    throwIfAborted(options.signal);
    if (this.#running || this.#closing) throw new PortError('failed_precondition', 'a gateway is started once');
    this.#intake = intake;
    this.#presence = presence;
    const { devices, clock, onProblem } = this.#dependencies;
    const queue = await CommandQueue.open(this.#config.commandDatabasePath, this.#config.maxQueuedCommandsPerMachine);
    const broker = await this.#createBroker();
    const server = this.#createServer(broker);
    this.#running = { broker, server, queue, commands: new CommandDispatcher(queue, clock, onProblem) };
    try {
      await this.#listen(server);
    } catch (error) {
      await this.close();
      throw error;
    }
    this.#registry = new RegistryWatch({
      ...{ devices, clock, onProblem },
      known: () => [...this.#byDevice.values()].flatMap(([first]) => first?.device ?? []),
      apply: (id, device) => this.#applyChange(id, device),
    });
    this.#checkTimer = setInterval(() => {
      const nowMs = clock.monotonicMs();
      for (const connection of this.#connections) connection.check(nowMs);
    }, CHECK_EVERY_MS);
  }

  async sendCommand(machine: MachineKey, command: DeviceCommand, options: CallOptions = {}): Promise<void> {
    throwIfAborted(options.signal);
    const commands = this.#running?.commands;
    if (commands === undefined) throw new PortError('failed_precondition', 'the gateway is not started');
    if (command.payload.length > this.#config.maxPayloadBytes) {
      throw new PortError('invalid_argument', `a command takes at most ${this.#config.maxPayloadBytes} bytes`);
    }
    if (!commands.listens(machine)) {
      const devices = await this.#dependencies.devices.listDevices(machineRef(machine).tenant, options);
      if (!devices.some((device) => device.enabled && device.machines.includes(machine))) {
        throw new PortError('not_found', `no device speaks for ${machine}: bind one with tribo device add`);
      }
    }
    await commands.send(machine, command);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    this.#registry?.stop();
    clearInterval(this.#checkTimer);
    const closed = new Promise<void>((resolve) => running.server.close(() => resolve()));
    await this.#drain();
    await new Promise<void>((resolve) => running.broker.close(resolve));
    for (const connection of this.#connections) connection.socket.destroy();
    await closed;
    await running.queue.close();
  }

  /** Waits until what was read and not refused is acknowledged, or given up. */
  async #drain(): Promise<void> {
    const untilMs = this.#dependencies.clock.monotonicMs() + this.#config.drainMs;
    const isBusy = () => [...this.#connections].some((each) => each.inFlightMessages > each.heldMessages);
    while (isBusy() && this.#dependencies.clock.monotonicMs() < untilMs) await delay(DRAIN_POLL_MS);
    // Acknowledgements are written after the messages of a turn are settled.
    await new Promise((resolve) => setImmediate(resolve));
  }

  async #createBroker(): Promise<Aedes> {
    const options: AedesOptions = {
      connectTimeout: this.#config.connectTimeoutMs,
      // What came in the same segment as CONNECT; nothing more is read before CONNACK.
      queueLimit: 65_536,
      maxInflightInbound: MAX_HALF_OPEN_QOS2,
      preConnect: (client, packet, callback) => {
        const connection = this.#connectionOf.get(client);
        if (connection !== undefined) connection.keepAliveMs = (packet.keepalive ?? 0) * 1000;
        // The connection keeps time itself, because aedes would not know of back-pressure; and no session outlives its connection.
        packet.keepalive = 0;
        packet.clean = true;
        callback(null, true);
      },
      authenticate: (client, username, password, done) => {
        this.#authenticate(client, username, password).then(
          () => done(null, true),
          (error: unknown) => done(error as AuthenticateError, false),
        );
      },
      authorizePublish: (client, packet, callback) => this.#onPublish(client, packet, callback),
      authorizeSubscribe: (client, subscription, callback) => {
        const topic = this.#connectionOf.get(client)?.resolve(subscription.topic);
        const isOwnCommand = typeof topic === 'object' && topic.kind === 'command';
        if (!isOwnCommand) this.#refuse(client, typeof topic === 'string' ? topic : 'foreign-topic');
        callback(null, isOwnCommand ? subscription : null);
      },
    };
    const broker = await Aedes.createBroker(options);
    this.#routeNothing(broker);
    broker.on('subscribe', (subscriptions, client) => {
      for (const { topic, qos } of subscriptions) this.#onSubscribed(client, topic, qos);
    });
    broker.on('unsubscribe', (topics, client) => {
      for (const topic of topics) this.#onUnsubscribed(client, topic);
    });
    const onError = (client: Client, error: Error) => {
      // Errors of the system, such as a reset, have a code: nothing was refused then.
      if (!(error instanceof ConnectionEnded) && !('code' in error)) this.#refuse(client, 'protocol-error');
    };
    broker.on('clientError', onError);
    broker.on('connectionError', onError);
    return broker;
  }

  /** What a device publishes has been taken when it is authorized: aedes has nobody to give it to, and keeps nothing of it. */
  #routeNothing(broker: Aedes): void {
    const publishOwn = broker.publish.bind(broker) as (...args: unknown[]) => void;
    const publish = (packet: PublishPacket, client: unknown, done: unknown): void => {
      if (typeof client === 'object' && client !== null && typeof done === 'function') (done as () => void)();
      else publishOwn(packet, client, done);
    };
    Object.assign(broker, { publish });
  }

  #createServer(broker: Aedes): Server {
    const onSocket = (socket: Socket) => {
      socket.setNoDelay(true);
      socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS);
      const connection = new DeviceConnection(socket, this.#host);
      this.#connections.add(connection);
      socket.once('close', () => this.#onClosed(connection));
      this.#connectionOf.set(broker.handle(socket), connection);
    };
    const { tls, connectTimeoutMs } = this.#config;
    const server = tls === undefined ? createServer(onSocket) : this.#createTlsServer(tls, connectTimeoutMs, onSocket);
    server.maxConnections = this.#config.maxConnections;
    server.on('drop', () => this.#dependencies.refuse('too-many-connections'));
    return server;
  }

  #createTlsServer(tls: Certificate, handshakeTimeout: number, onSocket: (socket: Socket) => void): Server {
    const server = createTlsServer({ ...tls, handshakeTimeout }, onSocket);
    server.on('tlsClientError', () => this.#dependencies.refuse('protocol-error'));
    // Connections that there are go on with the certificate that they began with.
    this.#dependencies.onTlsRenewal?.((renewed) => server.setSecureContext(renewed));
    return server;
  }

  async #listen(server: Server): Promise<void> {
    const { host, port } = this.#config;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => {
        const remedy = 'stop what uses it, or choose another with TRIBO_MQTT_PORT or --mqtt-port';
        const message =
          error.code === 'EADDRINUSE'
            ? `MQTT port ${port} on ${host} is taken: ${remedy}`
            : `cannot listen for MQTT on ${host}:${port}: ${error.message}`;
        reject(new PortError('failed_precondition', message, { cause: error }));
      });
      server.listen(port, host, resolve);
    });
  }

  async #authenticate(client: Client, username: string | undefined, password: Buffer | undefined): Promise<void> {
    const connection = this.#connectionOf.get(client);
    if (connection === undefined) throw connackError(CONNACK_UNAVAILABLE, 'the connection is gone');
    let device: Device | undefined;
    try {
      const secret = password?.toString('utf8') ?? '';
      if (isName(username)) device = await this.#dependencies.devices.authenticate(username, secret);
    } catch (error) {
      this.#dependencies.onProblem('authenticating a device', error);
      throw connackError(CONNACK_UNAVAILABLE, 'devices cannot be authenticated for the moment');
    }
    if (device === undefined) {
      this.#dependencies.refuse('bad-credentials');
      throw connackError(CONNACK_BAD_CREDENTIALS, 'no such device, or another secret');
    }
    if (client.id !== device.id && !client.id.startsWith(`${device.id}:`)) {
      this.#dependencies.refuse('foreign-client-id', device.tenant);
      throw connackError(CONNACK_IDENTIFIER_REJECTED, `the client id must be ${device.id} or begin with ${device.id}:`);
    }
    this.#register(connection, device);
  }

  #register(connection: DeviceConnection, device: Device): void {
    const others = this.#byDevice.get(device.id) ?? new Set();
    // A device that takes its own connection over has one more until the old one is gone.
    if (others.size > this.#config.maxConnectionsPerDevice) {
      this.#dependencies.refuse('too-many-connections', device.tenant);
      throw connackError(CONNACK_UNAVAILABLE, `the device has ${others.size} connections`);
    }
    if (connection.socket.destroyed) throw connackError(CONNACK_UNAVAILABLE, 'the connection is gone');
    connection.identify(device);
    this.#byDevice.set(device.id, others.add(connection));
    if (others.size === 1) this.#tellConnection(device, true);
  }

  #onClosed(connection: DeviceConnection): void {
    this.#connections.delete(connection);
    this.#waiting.delete(connection);
    this.#running?.commands.disconnected(connection);
    const { device } = connection;
    const ofDevice = device && this.#byDevice.get(device.id);
    if (device === undefined || !ofDevice?.delete(connection) || ofDevice.size > 0) return;
    this.#byDevice.delete(device.id);
    if (this.#closing === undefined) this.#tellConnection(device, false);
  }

  #tellConnection({ id: device, machines }: Device, online: boolean): void {
    this.#presence.presence({ device, machines, by: 'connection', online, atMs: this.#dependencies.clock.nowMs() });
  }

  #onPublish(client: Client | null, packet: PublishPacket, callback: (error?: Error | null) => void): void {
    const connection = client === null ? undefined : this.#connectionOf.get(client);
    const access = connection?.access;
    if (client === null || connection === undefined || access === undefined) {
      callback(null);
      return;
    }
    const { device } = access;
    const topic = access.resolve(packet.topic);
    const payload = packet.payload as Buffer;
    if (typeof topic === 'object' && topic.kind === 'status') {
      this.#onStatus(device, topic.machine, payload);
      callback(null);
      return;
    }
    // A frame may be longer by the longest topic.
    const isOversize = payload.length > this.#config.maxPayloadBytes;
    const message = isOversize ? 'oversize' : access.messageOf(packet.topic, payload, this.#dependencies.mapping);
    if (typeof message === 'string') {
      this.#refuse(client, message);
      callback(new ConnectionEnded(`${device.id} may not publish to ${packet.topic}`));
      return;
    }
    this.#take(connection, message, packet, callback);
  }

  /** Ends in a PUBACK or in silence, never in a PUBACK for what is not durable. */
  #take(connection: DeviceConnection, message: DeviceMessage, packet: PublishPacket, callback: () => void): void {
    const bytes = message.content.payload.length;
    const packetId = packet.qos === 1 ? packet.messageId : undefined;
    const taken: TakenMessage = { connection, bytes, packetId, isQos2: packet.qos === 2, callback };
    // The gateway acknowledges QoS 1 itself, many messages in one write: aedes takes six calls and a turn of the event loop for each.
    if (packet.qos === 1) packet.qos = 0;
    // aedes keeps a QoS 2 packet until PUBREL; its content is durable by then.
    packet.payload = NO_PAYLOAD;
    connection.begin(bytes);
    this.#intake.accept(message).then(
      () => this.#settled(taken),
      (refusal: unknown) => {
        this.#hold(taken, message, refusal).then(
          (isAccepted) => (isAccepted ? this.#settled(taken) : connection.end(bytes)),
          (error: unknown) => {
            connection.end(bytes);
            this.#dependencies.onProblem(`taking a message of ${message.sender}`, error);
            connection.socket.destroy(new ConnectionEnded('the message could not be taken'));
          },
        );
      },
    );
  }

  /** Acknowledges; aedes reads on when it is called back, which is left until the acknowledgements of the turn are out. */
  #settled(taken: TakenMessage): void {
    if (taken.packetId !== undefined) this.#acknowledge(taken.connection, taken.packetId);
    if (this.#continuing.push(taken) > 1) return;
    setImmediate(() => {
      const continuing = this.#continuing;
      this.#continuing = [];
      for (const { connection, bytes, callback } of continuing) {
        connection.end(bytes);
        callback?.();
      }
    });
  }

  /**
   * Offers a message that intake refused again, until it is accepted (true) or the connection is gone (false). Where messages of another kind
   * are taken, aedes reads on meanwhile; but not past a QoS 2 packet, which it acknowledges itself.
   */
  async #hold(taken: TakenMessage, message: DeviceMessage, refusal: unknown): Promise<boolean> {
    const { connection, bytes, callback } = taken;
    this.#heldBytes += bytes;
    connection.heldMessages++;
    if (this.#intake.isReady() && !taken.isQos2) {
      taken.callback = undefined;
      callback?.();
    }
    try {
      return await offerAgain(this.#intake, message, {
        refusal,
        everyMs: this.#config.offerAgainMs,
        isOver: () => connection.socket.destroyed || this.#closing !== undefined,
      });
    } finally {
      this.#heldBytes -= bytes;
      connection.heldMessages--;
    }
  }

  /** What a device says of itself. Anything but `{"online": true|false}` says nothing, and is counted. */
  #onStatus({ id: device, tenant }: Device, machine: MachineKey, payload: Buffer): void {
    const online = onlineOf(payload);
    if (online === undefined) {
      this.#dependencies.refuse('protocol-error', tenant);
      return;
    }
    const atMs = this.#dependencies.clock.nowMs();
    this.#presence.presence({ device, machines: [machine], by: 'status', online, atMs });
  }

  #onSubscribed(client: Client, topic: string, qos: number): void {
    const connection = this.#connectionOf.get(client);
    const resolved = connection?.resolve(topic);
    if (connection === undefined || typeof resolved !== 'object' || qos > 2) return;
    this.#running?.commands.subscribe(resolved.machine, connection, qos === 0 ? 0 : 1);
  }

  #onUnsubscribed(client: Client, topic: string): void {
    const connection = this.#connectionOf.get(client);
    const resolved = connection?.resolve(topic);
    if (connection !== undefined && typeof resolved === 'object') {
      this.#running?.commands.unsubscribe(resolved.machine, connection);
    }
  }

  #refuse(client: Client, reason: RefusalReason): void {
    this.#dependencies.refuse(reason, this.#connectionOf.get(client)?.device?.tenant);
  }

  #waitForIntake(connection: DeviceConnection): void {
    if (this.#closing !== undefined) return;
    const isFirst = this.#waiting.size === 0;
    this.#waiting.add(connection);
    if (!isFirst) return;
    void this.#intake.whenReady().then(() => {
      const waiting = [...this.#waiting];
      this.#waiting.clear();
      for (const each of waiting) each.resume();
    });
  }

  /** Acknowledgements go out when all that became durable together has been seen: in a tick, which comes after the microtasks. */
  #acknowledge(connection: DeviceConnection, packetId: number): void {
    if (!connection.acknowledge(packetId)) return;
    if (this.#withAcknowledgements.push(connection) > 1) return;
    process.nextTick(() => {
      const connections = this.#withAcknowledgements;
      this.#withAcknowledgements = [];
      for (const each of connections) each.flushAcknowledgements();
    });
  }

  /** A device that lost a right is disconnected, and finds out what is left when it connects again. */
  #applyChange(id: DeviceId, device: Device | undefined): void {
    for (const connection of this.#byDevice.get(id) ?? []) {
      const before = connection.device?.machines ?? [];
      const keepsAll = device?.enabled === true && before.every((key) => device.machines.includes(key));
      if (device !== undefined && keepsAll) {
        if (device.machines.length > before.length) connection.identify(device);
      } else
        connection.socket.destroy(new ConnectionEnded('the device was removed, disabled or bound to other machines'));
    }
  }
}

/** A message on its way to durability. */
interface TakenMessage {
  readonly connection: DeviceConnection;
  readonly bytes: number;
  /** Of a QoS 1 packet: what its PUBACK names. */
  readonly packetId: number | undefined;
  readonly isQos2: boolean;
  /** Makes aedes read on; absent once it has been called. */
  callback: (() => void) | undefined;
}

const CONNACK_IDENTIFIER_REJECTED = 2;
const CONNACK_UNAVAILABLE = 3;
const CONNACK_BAD_CREDENTIALS = 4;

function connackError(returnCode: number, message: string): Error & { readonly returnCode: number } {
  return Object.assign(new ConnectionEnded(message), { returnCode });
}

const NO_PAYLOAD = Buffer.alloc(0);
/** Client id, credentials, and a will of a status topic. */
const MAX_CONNECT_BYTES = 4096;
const MAX_TOPIC_BYTES = 1024;
const MAX_OTHER_PACKET_BYTES = 64 * 1024;
const MAX_HALF_OPEN_QOS2 = 1000;
const TCP_KEEP_ALIVE_MS = 60_000;
const CHECK_EVERY_MS = 1000;
const DRAIN_POLL_MS = 5;
