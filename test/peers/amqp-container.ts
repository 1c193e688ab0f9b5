import type * as Rhea from 'rhea';
import type { Connection, Container, EventContext, Receiver, Sender } from 'rhea';

/** What a peer that speaks AMQP 1.0 does as connections and links come and go. */
export interface AmqpPeer {
  readonly opened: (connection: Connection) => void;
  /** It was closed, or cut. */
  readonly gone: (connection: Connection) => void;
  readonly openIncoming: (link: Receiver) => void;
  readonly openOutgoing: (link: Sender) => void;
  readonly receive: (context: EventContext) => void;
}

/** Takes anybody, and bears connections that are cut, as that is part of what is tested. */
export function amqpContainer(rhea: typeof Rhea.default, id: string, peer: AmqpPeer): Container {
  const container = rhea.create_container({ id });
  (container.sasl_server_mechanisms as { enable_anonymous(): void }).enable_anonymous();
  container.on('connection_open', ({ connection }: EventContext) => peer.opened(connection));
  for (const event of ['connection_close', 'disconnected'])
    container.on(event, ({ connection }: EventContext) => peer.gone(connection));
  container.on('receiver_open', ({ receiver }: EventContext) => peer.openIncoming(receiver!));
  container.on('sender_open', ({ sender }: EventContext) => peer.openOutgoing(sender!));
  container.on('message', peer.receive);
  for (const level of ['', 'protocol_', 'connection_', 'session_', 'receiver_', 'sender_'])
    container.on(`${level}error`, () => undefined);
  return container;
}
