import { once } from 'node:events';
import type { AddressInfo, Server, Socket } from 'node:net';
import type * as Rhea from 'rhea';
import type { Connection, EventContext, Message, Receiver, Sender } from 'rhea';
import { selfSignedCertificate } from '#test/support/self-signed-certificate.ts';
import { amqpContainer } from './amqp-container.ts';
import type { DeviceboundMessage } from './iot-hub-devices.ts';

interface ServiceParts {
  /** Tokens that it takes. */
  readonly tokens: ReadonlySet<string>;
  /** Its condition where the message is not taken. */
  readonly enqueue: (device: string, message: DeviceboundMessage) => string | undefined;
}

const DEFAULT_TTL_MS = 3_600_000;

/** What becomes of a message that is sent, other than that it is kept and acknowledged. */
export type ServiceFault =
  /** Refused for this condition. */
  | { readonly refuse: string }
  /** Not kept, and the link is gone. */
  | 'detached'
  /** Kept, and the connection is gone before the answer. */
  | 'answer lost'
  /** Kept, and no answer comes. */
  | 'silence';

/**
 * The service's side of an IoT Hub over AMQP 1.0, as https://learn.microsoft.com/azure/iot-hub/iot-hub-amqp-support and
 * /azure/iot-hub/iot-hub-devguide-messages-c2d say: claims by `$cbs`, `/messages/devicebound` for messages to devices, and
 * `/messages/serviceBound/feedback` for what became of them, in batches, each to one of those who listen.
 */
export class IotHubService implements AsyncDisposable {
  readonly #rhea: typeof Rhea.default;
  readonly #parts: ServiceParts;
  readonly #connections = new Set<Connection>();
  readonly #claimed = new WeakSet<Connection>();
  readonly #feedback: object[] = [];
  readonly #listeners = new Set<Sender>();
  readonly #certificate = selfSignedCertificate();
  #server!: Server;
  /** Asked for each message that comes. */
  fault: (() => ServiceFault | undefined) | undefined;
  /** From now on no feedback is told, as after its time to live. */
  mutesFeedback = false;
  refusesTokens = false;
  /** Claims are not answered. */
  isSilentToClaims = false;

  static async start(parts: ServiceParts): Promise<IotHubService> {
    const service = new IotHubService((await import('rhea')).default, parts);
    await service.#listen();
    return service;
  }

  private constructor(rhea: typeof Rhea.default, parts: ServiceParts) {
    this.#rhea = rhea;
    this.#parts = parts;
  }

  get uri(): string {
    return `amqps://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** What a client of it has to trust. */
  get ca(): string {
    return this.#certificate.cert;
  }

  get connections(): number {
    return this.#connections.size;
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  /** To be told to one of those who listen, now or later. */
  tell(record: object): void {
    if (!this.mutesFeedback) this.#feedback.push(record);
    this.#pump();
  }

  /** Detaches those who listen for feedback, as when the service moves the queue. */
  detachListeners(): void {
    for (const link of [...this.#listeners]) {
      this.#listeners.delete(link);
      link.close({ condition: 'amqp:link:detach-forced', description: 'the link is moved' });
    }
  }

  /** Cuts all connections. */
  cut(): void {
    for (const connection of [...this.#connections]) this.#cut(connection);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.cut();
    await closed;
  }

  async #listen(): Promise<void> {
    const container = amqpContainer(this.#rhea, 'iot-hub-peer', {
      opened: (connection) => void this.#connections.add(connection),
      gone: (connection) => this.#forget(connection),
      openIncoming: (link) => this.#openIncoming(link),
      openOutgoing: (link) => this.#openOutgoing(link),
      receive: (context) => this.#receive(context),
    });
    container.on('sendable', () => this.#pump());
    container.on('sender_close', ({ sender }: EventContext) => this.#listeners.delete(sender!));
    const { cert, key } = this.#certificate;
    this.#server = container.listen({
      ...{ host: '127.0.0.1', port: 0, transport: 'tls', cert, key },
      receiver_options: { autoaccept: false, credit_window: 100 },
    });
    await once(this.#server, 'listening');
  }

  #openIncoming(link: Receiver): void {
    const address = addressOf(link, 'target');
    link.set_target({ address });
    if (address !== '$cbs' && !(this.#isClaimed(link) && address === '/messages/devicebound'))
      link.close({ condition: 'amqp:unauthorized-access', description: address });
  }

  #openOutgoing(link: Sender): void {
    const address = addressOf(link, 'source');
    link.set_source({ address });
    if (address === '$cbs') return;
    if (!this.#isClaimed(link) || address.toLowerCase() !== '/messages/servicebound/feedback')
      link.close({ condition: 'amqp:unauthorized-access', description: address });
    else this.#listeners.add(link);
    this.#pump();
  }

  #receive({ receiver, message, delivery }: EventContext): void {
    if (addressOf(receiver!, 'target') === '$cbs') {
      delivery!.accept();
      this.#claim(receiver!.connection, message!);
      return;
    }
    const fault = this.fault?.();
    if (fault === 'detached') receiver!.close({ condition: 'amqp:link:detach-forced', description: 'by the test' });
    else if (typeof fault === 'object') delivery!.reject({ condition: fault.refuse, description: 'by the test' });
    else {
      const condition = this.#keep(message!);
      if (fault === 'answer lost') this.#cut(receiver!.connection);
      else if (condition !== undefined) delivery!.reject({ condition, description: 'by the hub' });
      else if (fault !== 'silence') delivery!.accept();
    }
  }

  #keep(message: Message): string | undefined {
    const { to = '', message_id: id, absolute_expiry_time: expiry } = message;
    const [, device] = /^\/devices\/([^/]+)\/messages\/devicebound$/i.exec(to) ?? [];
    const { 'iothub-ack': ack = 'none', ...properties } = (message.application_properties ?? {}) as Record<
      string,
      string
    >;
    const { content } = message.body as { readonly content: Buffer };
    return this.#parts.enqueue(decodeURIComponent(device ?? ''), {
      ...{ body: Buffer.from(content), properties, ack },
      id: Buffer.isBuffer(id) ? this.#rhea.uuid_to_string(id) : (id as string | undefined),
      expiresAtMs: expiry === undefined ? Date.now() + DEFAULT_TTL_MS : Number(expiry),
    });
  }

  #claim(connection: Connection, { body, message_id }: Message): void {
    if (this.isSilentToClaims) return;
    const token = /^Bearer (.+)$/.exec(String(body))?.[1];
    const isGood = !this.refusesTokens && token !== undefined && this.#parts.tokens.has(token);
    if (isGood) this.#claimed.add(connection);
    const answerer = connection.find_sender((link: Sender) => addressOf(link, 'source') === '$cbs');
    answerer?.send({
      ...{ correlation_id: message_id as string, body: null },
      application_properties: {
        'status-code': this.#rhea.types.wrap_int(isGood ? 200 : 401),
        'status-description': isGood ? 'OK' : 'InvalidToken',
      },
    });
  }

  #pump(): void {
    for (const link of this.#listeners) {
      if (this.#feedback.length === 0) return;
      if (!link.sendable()) continue;
      const records = this.#feedback.splice(0, 64);
      link.send({
        content_type: 'application/vnd.microsoft.iothub.feedback.json',
        body: this.#rhea.message.data_section(Buffer.from(JSON.stringify(records))) as unknown,
      });
    }
  }

  #isClaimed({ connection }: Receiver | Sender): boolean {
    return this.#claimed.has(connection);
  }

  #forget(connection: Connection): void {
    this.#connections.delete(connection);
    for (const link of [...this.#listeners]) if (link.connection === connection) this.#listeners.delete(link);
  }

  /** With an error, so that rhea sees it, too, and stops its heartbeats. */
  #cut(connection: Connection): void {
    (connection as unknown as { readonly socket: Socket }).socket.destroy(new Error('cut'));
    this.#forget(connection);
  }
}

function addressOf(link: Receiver | Sender, end: 'source' | 'target'): string {
  const { attach } = (
    link as unknown as { readonly remote: { readonly attach: Record<string, { address?: string } | undefined> } }
  ).remote;
  return attach[end]?.address ?? '';
}
