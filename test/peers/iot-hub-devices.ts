import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto';
import type { IConnectPacket, IPublishPacket, Packet } from 'mqtt-packet';
import type { HubDevice } from './iot-hub-registry.ts';
import { MqttListener, type MqttLink, type MqttSession } from './mqtt-listener.ts';

/** A message from the cloud to a device. */
export interface DeviceboundMessage {
  readonly id: string | undefined;
  readonly body: Buffer;
  readonly properties: Readonly<Record<string, string>>;
  readonly expiresAtMs: number;
  readonly ack: string;
}

export interface DeviceEvents {
  /** A device's message, stored when it resolves; acknowledged after that. */
  readonly sent: (device: HubDevice, properties: Readonly<Record<string, string>>, body: Buffer) => void;
  readonly connection: (device: HubDevice, isConnected: boolean) => void;
  /** What became of a message. */
  readonly outcome: (device: HubDevice, message: DeviceboundMessage, statusCode: string) => void;
}

const MAX_MESSAGE_BYTES = 262_144;
const QUEUE_LENGTH = 50;
const MAX_DELIVERY_COUNT = 10;

interface Queued {
  readonly message: DeviceboundMessage;
  deliveries: number;
  /** Of the packet that it is out with. */
  packet: number | undefined;
}

/**
 * The devices' side of an IoT Hub: MQTT 3.1.1 as https://learn.microsoft.com/azure/iot/iot-mqtt-connect-to-iot-hub says, over TLS. A device signs in
 * by a token of its key, under its id, publishes to its one topic and hears its one; the rest ends its connection. Messages to it wait in a
 * queue of 50, are out until it acknowledges them, and wait again when its connection ends before (the hub: within a minute).
 */
export class IotHubDevices {
  readonly #host: string;
  readonly #devices: ReadonlyMap<string, HubDevice>;
  readonly #events: DeviceEvents;
  #listener!: MqttListener;
  #isOver = false;
  readonly #connections = new Map<string, Connection>();
  readonly #queues = new Map<string, Queued[]>();

  static async start(
    host: string,
    devices: ReadonlyMap<string, HubDevice>,
    events: DeviceEvents,
  ): Promise<IotHubDevices> {
    const hub = new IotHubDevices(host, devices, events);
    hub.#listener = await MqttListener.start({ name: host }, async (link, packet) => hub.#connect(link, packet));
    return hub;
  }

  private constructor(host: string, devices: ReadonlyMap<string, HubDevice>, events: DeviceEvents) {
    this.#host = host;
    this.#devices = devices;
    this.#events = events;
  }

  /** Where devices connect. */
  get listener(): MqttListener {
    return this.#listener;
  }

  /** Its condition in AMQP, where the queue does not take the message. */
  enqueue(id: string, message: DeviceboundMessage): string | undefined {
    if (!this.#devices.has(id)) return 'amqp:not-found';
    this.#expire(id);
    const queue = this.#queueOf(id);
    if (queue.length >= QUEUE_LENGTH) return 'amqp:resource-limit-exceeded';
    queue.push({ message, deliveries: 0, packet: undefined });
    this.#pump(id);
    return undefined;
  }

  /** A device that speaks AMQP takes the first message that waits, and gives it back; false where none waits. */
  abandon(id: string): boolean {
    const [first] = this.#queueOf(id);
    if (!first) return false;
    first.deliveries++;
    if (first.deliveries >= MAX_DELIVERY_COUNT) this.#end(id, first, 'DeliveryCountExceeded');
    return true;
  }

  changed(device: HubDevice, isGone: boolean): void {
    if (isGone) this.#queues.delete(device.deviceId);
    if (isGone || device.status === 'disabled') this.#connections.get(device.deviceId)?.link.socket.destroy();
  }

  /** Looks at what has expired, as the hub does by itself. */
  expireAll(): void {
    for (const id of this.#queues.keys()) this.#expire(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#listener[Symbol.asyncDispose]();
  }

  #connect(link: MqttLink, { clientId, username, password, protocolVersion }: IConnectPacket): MqttSession | undefined {
    const device = this.#devices.get(clientId);
    const isKnown =
      protocolVersion === 4 &&
      device?.status === 'enabled' &&
      username?.startsWith(`${this.#host}/${clientId}/?api-version=`) === true &&
      isSignedBy(device, this.#host, String(password));
    if (!isKnown) return undefined;
    // One connection a device: the newest.
    this.#connections.get(clientId)?.link.socket.destroy();
    const connection: Connection = { link, device, listens: false, lastPacket: 0 };
    this.#connections.set(clientId, connection);
    device.connectionState = 'Connected';
    this.#events.connection(device, true);
    return {
      receive: (packet) => this.#receive(connection, packet),
      closed: () => this.#disconnected(connection),
    };
  }

  #receive(connection: Connection, packet: Packet): void {
    const { link, device } = connection;
    switch (packet.cmd) {
      case 'publish':
        this.#published(connection, packet);
        return;
      case 'puback': {
        const queued = this.#queueOf(device.deviceId).find((each) => each.packet === packet.messageId);
        if (queued) this.#end(device.deviceId, queued, 'Success');
        return;
      }
      case 'subscribe': {
        const filter = `devices/${device.deviceId}/messages/devicebound/#`;
        const granted = packet.subscriptions.map(({ topic }) => (topic === filter ? 1 : 0x80));
        link.send({ cmd: 'suback', messageId: packet.messageId!, granted });
        connection.listens ||= granted.includes(1);
        this.#pump(device.deviceId);
        return;
      }
      case 'pingreq':
        link.send({ cmd: 'pingresp' });
        return;
      default:
        link.socket.destroy();
    }
  }

  #published({ link, device }: Connection, { topic, payload, qos, messageId }: IPublishPacket): void {
    const root = `devices/${device.deviceId}/messages/events/`;
    const body = Buffer.from(payload);
    if (!topic.startsWith(root) || qos === 2 || body.length > MAX_MESSAGE_BYTES) {
      link.socket.destroy();
      return;
    }
    const bag = Object.fromEntries(new URLSearchParams(topic.slice(root.length).replaceAll('+', '%2B')));
    this.#events.sent(device, bag, body);
    if (qos === 1) link.send({ cmd: 'puback', messageId: messageId! });
  }

  #disconnected(connection: Connection): void {
    const { device } = connection;
    const { deviceId } = device;
    // Followed by another, or ended with the peer, nothing is told of it.
    if (this.#connections.get(deviceId) !== connection || this.#isOver) return;
    this.#connections.delete(deviceId);
    for (const queued of this.#queueOf(deviceId)) queued.packet = undefined;
    device.connectionState = 'Disconnected';
    this.#events.connection(device, false);
  }

  #pump(id: string): void {
    this.#expire(id);
    const connection = this.#connections.get(id);
    if (!connection?.listens) return;
    for (const queued of this.#queueOf(id)) {
      if (queued.packet !== undefined) continue;
      queued.packet = connection.lastPacket = (connection.lastPacket % 65_535) + 1;
      const { message } = queued;
      const bag = {
        ...(message.id !== undefined && { '$.mid': message.id }),
        ...{ '$.to': `/devices/${id}/messages/devicebound`, 'iothub-ack': message.ack },
        ...message.properties,
      };
      const topic = `devices/${id}/messages/devicebound/${bagText(bag)}`;
      const { body: payload } = message;
      const flags = { dup: false, retain: false, qos: 1 } as const;
      connection.link.send({ cmd: 'publish', topic, payload, messageId: queued.packet, ...flags });
    }
  }

  #expire(id: string): void {
    const nowMs = Date.now();
    for (const queued of [...this.#queueOf(id)])
      if (queued.message.expiresAtMs <= nowMs && queued.packet === undefined) this.#end(id, queued, 'Expired');
  }

  #end(id: string, queued: Queued, statusCode: string): void {
    const queue = this.#queueOf(id);
    queue.splice(queue.indexOf(queued), 1);
    this.#events.outcome(this.#devices.get(id)!, queued.message, statusCode);
  }

  #queueOf(id: string): Queued[] {
    let queue = this.#queues.get(id);
    if (!queue) this.#queues.set(id, (queue = []));
    return queue;
  }
}

interface Connection {
  readonly link: MqttLink;
  readonly device: HubDevice;
  listens: boolean;
  lastPacket: number;
}

function bagText(bag: Readonly<Record<string, string>>): string {
  return Object.entries(bag)
    .map((pair) => pair.map(encodeURIComponent).join('='))
    .join('&');
}

/** https://learn.microsoft.com/azure/iot-hub/authenticate-authorize-sas */
export function sasToken(host: string, device: string, key: string, expiresAtS = Math.ceil(Date.now() / 1000) + 3600) {
  const resource = encodeURIComponent(`${host}/devices/${device}`);
  const signature = encodeURIComponent(signed(resource, expiresAtS, key));
  return `SharedAccessSignature sr=${resource}&sig=${signature}&se=${expiresAtS}`;
}

function signed(resource: string, expiresAtS: number, key: string): string {
  return createHmac('sha256', Buffer.from(key, 'base64')).update(`${resource}\n${expiresAtS}`).digest('base64');
}

function isSignedBy({ deviceId, authentication }: HubDevice, host: string, token: string): boolean {
  const fields = new URLSearchParams(token.replace(/^SharedAccessSignature /, '').replaceAll('+', '%2B'));
  const [resource, signature, expiry] = ['sr', 'sig', 'se'].map((name) => fields.get(name) ?? '') as [
    string,
    string,
    string,
  ];
  if (resource !== `${host}/devices/${deviceId}` || Number(expiry) <= Date.now() / 1000) return false;
  const { primaryKey, secondaryKey } = authentication.symmetricKey;
  return [primaryKey, secondaryKey].some((key) => {
    const expected = Buffer.from(signed(encodeURIComponent(resource), Number(expiry), key ?? randomUUID()));
    const given = Buffer.from(signature);
    return key !== null && given.length === expected.length && timingSafeEqual(given, expected);
  });
}
