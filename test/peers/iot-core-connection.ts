import { randomUUID } from 'node:crypto';
import type { IConnectPacket, IPublishPacket, Packet } from 'mqtt-packet';
import type { MqttLink, MqttSession } from './mqtt-listener.ts';

interface IotCoreConnectionParts {
  /** That the client showed. */
  readonly certificateId: string;
  readonly allows: (action: string, resource: string) => boolean;
  readonly published: (topic: string, payload: Buffer) => Promise<void>;
  readonly happened: (topic: string, event: object) => Promise<void>;
  readonly ended: () => void;
}

const MAX_PACKET = 65_535;
const MQTT_5_REASONS = { AUTH_ERROR: 0x87, DUPLICATE_CLIENTID: 0x8e, CLIENT_ERROR: 0x82 } as const;

/** How https://docs.aws.amazon.com/iot/latest/developerguide/life-cycle-events.html names it. */
type DisconnectReason = keyof typeof MQTT_5_REASONS | 'CLIENT_INITIATED_DISCONNECT' | 'CONNECTION_LOST';

/** A client's connection, as IoT Core has it. */
export class IotCoreConnection implements MqttSession {
  readonly certificateId: string;
  readonly #link: MqttLink;
  readonly #connect: IConnectPacket;
  readonly #parts: IotCoreConnectionParts;
  readonly #session = randomUUID().replaceAll('-', '');
  /** What it listens to, each topic as it is. */
  readonly #topics = new Set<string>();
  #lastPacket = 0;
  #isOver = false;

  constructor(link: MqttLink, connect: IConnectPacket, parts: IotCoreConnectionParts) {
    this.#link = link;
    this.#connect = connect;
    this.#parts = parts;
    this.certificateId = parts.certificateId;
  }

  mayConnect(): boolean {
    const { clientId, will } = this.#connect;
    return (
      this.#parts.allows('iot:Connect', `client/${clientId}`) &&
      (will === undefined || this.#mayPublish(will.topic, will.retain ?? false))
    );
  }

  begin(): void {
    this.#tell('presence', 'connected', {});
  }

  receive(packet: Packet): void {
    if (this.#isOver) return;
    switch (packet.cmd) {
      case 'publish':
        this.#publish(packet);
        return;
      case 'subscribe': {
        const topics = packet.subscriptions.map(({ topic }) => topic);
        if (!topics.every((topic) => this.#parts.allows('iot:Subscribe', `topicfilter/${topic}`))) {
          this.end('AUTH_ERROR');
          return;
        }
        for (const topic of topics) this.#topics.add(topic);
        this.#tell('subscriptions', 'subscribed', { topics });
        this.#link.send({ cmd: 'suback', messageId: packet.messageId!, granted: topics.map(() => 1) });
        return;
      }
      case 'puback':
        return;
      case 'pingreq':
        this.#link.send({ cmd: 'pingresp' });
        return;
      case 'disconnect':
        this.end('CLIENT_INITIATED_DISCONNECT');
        return;
      default:
        this.end('CLIENT_ERROR');
    }
  }

  /** A message on a topic, where it listens to that. */
  deliver(topic: string, payload: Buffer): void {
    if (!this.#topics.has(topic) || !this.#parts.allows('iot:Receive', `topic/${topic}`)) return;
    const messageId = (this.#lastPacket = (this.#lastPacket % MAX_PACKET) + 1);
    this.#link.send({ cmd: 'publish', topic, payload, messageId, qos: 1, dup: false, retain: false });
  }

  closed(): void {
    this.end('CONNECTION_LOST');
  }

  end(disconnectReason: DisconnectReason): void {
    if (this.#isOver) return;
    this.forget();
    this.#link.end(disconnectReason in MQTT_5_REASONS ? MQTT_5_REASONS[disconnectReason as 'AUTH_ERROR'] : 0);
    const clientInitiatedDisconnect = disconnectReason === 'CLIENT_INITIATED_DISCONNECT';
    const { will } = this.#connect;
    if (will && !clientInitiatedDisconnect) void this.#parts.published(will.topic, Buffer.from(will.payload));
    this.#tell('presence', 'disconnected', { clientInitiatedDisconnect, disconnectReason });
  }

  /** From now on nothing is told of it. */
  forget(): void {
    this.#isOver = true;
    this.#topics.clear();
    this.#parts.ended();
  }

  /** What rules make of it comes after the acknowledgement. */
  #publish({ topic, payload, qos, retain, messageId }: IPublishPacket): void {
    if (qos === 2) this.end('CLIENT_ERROR');
    else if (!this.#mayPublish(topic, retain)) this.end('AUTH_ERROR');
    else {
      void this.#parts.published(topic, Buffer.from(payload));
      if (qos === 1) this.#link.send({ cmd: 'puback', messageId: messageId!, reasonCode: 0 });
    }
  }

  /** https://docs.aws.amazon.com/iot/latest/developerguide/retained-message-policy-examples.html */
  #mayPublish(topic: string, isRetained: boolean): boolean {
    const { allows } = this.#parts;
    const resource = `topic/${topic}`;
    return allows('iot:Publish', resource) && (!isRetained || allows('iot:RetainPublish', resource));
  }

  #tell(family: 'presence' | 'subscriptions', eventType: string, more: object): void {
    const event = { timestamp: Date.now(), eventType, sessionIdentifier: this.#session, ...more, versionNumber: 0 };
    void this.#parts.happened(`$aws/events/${family}/${eventType}/${this.#connect.clientId}`, event);
  }
}
