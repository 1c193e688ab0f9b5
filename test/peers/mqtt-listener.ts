import { once } from 'node:events';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import mqtt, { type IConnectPacket, type Packet } from 'mqtt-packet';
import { certificateAuthority, issuedCertificate } from '#test/support/self-signed-certificate.ts';

/** Of MQTT with TLS: clouds have no other for devices. */
const PORT = 8883;
const OPENS_WITHIN_MS = 10_000;
const ADDRESSES_TRIED = 20;

/** What becomes of a connection once the peer has let the client in. */
export interface MqttSession {
  receive(packet: Packet): void;
  /** The connection is gone, with or without a word. */
  closed(): void;
}

/** The peer's end of a connection. */
export class MqttLink {
  readonly socket: TLSSocket;
  readonly #version: number;

  constructor(socket: TLSSocket, version: number) {
    this.socket = socket;
    this.#version = version;
  }

  get isOpen(): boolean {
    return !this.socket.destroyed && this.socket.writable;
  }

  send(packet: Packet): void {
    if (this.isOpen) this.socket.write(mqtt.generate(packet, { protocolVersion: this.#version }));
  }

  /** Lets the client in, or says that it is not authorized and closes. */
  answer(isLetIn: boolean): void {
    const codes = isLetIn ? { returnCode: 0, reasonCode: 0 } : { returnCode: 5, reasonCode: 0x87 };
    this.send({ cmd: 'connack', sessionPresent: false, ...codes });
    if (!isLetIn) this.socket.end();
  }

  /** Ends the connection; MQTT 5 has a word for why. */
  end(reasonCode: number): void {
    if (this.#version === 5) this.send({ cmd: 'disconnect', reasonCode });
    this.socket.destroySoon();
  }
}

interface MqttListenerOptions {
  /** What its certificate is for, besides its address. */
  readonly name?: string;
  /** Whether clients are asked for a certificate. Whose it is, is for `open` to know. */
  readonly asksForCertificates?: boolean;
}

/**
 * The devices' side of a cloud's peer: MQTT over TLS at a cloud's port, of a loopback address that is this peer's alone. What a client sends after its
 * CONNECT waits until `open` has let it in.
 */
export class MqttListener implements AsyncDisposable {
  readonly address: string;
  readonly port: number = PORT;
  /** What devices have to trust. */
  readonly ca: string;
  readonly #server: Server;
  readonly #sockets = new Set<TLSSocket>();

  static async start(
    { name, asksForCertificates = false }: MqttListenerOptions,
    open: (link: MqttLink, packet: IConnectPacket) => Promise<MqttSession | undefined>,
  ): Promise<MqttListener> {
    const authority = certificateAuthority();
    const server = createServer({ requestCert: asksForCertificates, rejectUnauthorized: false });
    const address = await listen(server);
    server.setSecureContext(issuedCertificate(authority, { names: [address, ...(name === undefined ? [] : [name])] }));
    return new MqttListener(server, { address, ca: authority.cert }, open);
  }

  private constructor(
    server: Server,
    { address, ca }: { readonly address: string; readonly ca: string },
    open: (link: MqttLink, packet: IConnectPacket) => Promise<MqttSession | undefined>,
  ) {
    this.#server = server;
    this.address = address;
    this.ca = ca;
    server.on('tlsClientError', () => undefined);
    server.on('secureConnection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      serve(socket, open);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

function serve(
  socket: TLSSocket,
  open: (link: MqttLink, packet: IConnectPacket) => Promise<MqttSession | undefined>,
): void {
  const settings: { protocolVersion?: number } = {};
  const parser = mqtt.parser(settings);
  const early: Packet[] = [];
  let isConnected = false;
  let session: MqttSession | undefined;
  const opening = setTimeout(() => socket.destroy(), OPENS_WITHIN_MS).unref();
  const connect = async (packet: IConnectPacket): Promise<void> => {
    settings.protocolVersion = packet.protocolVersion ?? 4;
    const link = new MqttLink(socket, settings.protocolVersion);
    const opened = await open(link, packet).catch(() => undefined);
    if (opened === undefined) link.answer(false);
    else if (socket.closed) opened.closed();
    else {
      link.answer(true);
      session = opened;
      for (const each of early) session.receive(each);
    }
  };
  parser.on('packet', (packet: Packet) => {
    if (socket.destroyed) return;
    if (session) session.receive(packet);
    else if (isConnected) early.push(packet);
    else if (packet.cmd === 'connect') {
      isConnected = true;
      clearTimeout(opening);
      void connect(packet);
    } else socket.destroy();
  });
  parser.on('error', () => socket.destroy());
  socket.on('data', (bytes: Buffer) => parser.parse(bytes));
  socket.on('error', () => undefined);
  socket.on('close', () => {
    clearTimeout(opening);
    session?.closed();
  });
}

/** At an address that nobody has; returns it. */
async function listen(server: Server): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    const [a, b, c] = Array.from({ length: 3 }, () => 1 + Math.floor(Math.random() * 250));
    const address = `127.${a}.${b}.${c}`;
    try {
      await once(server.listen(PORT, address), 'listening');
      return address;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EADDRINUSE' || attempt === ADDRESSES_TRIED)
        throw new Error(`no address of this machine has port ${PORT} free for devices`, { cause: error });
    }
  }
}
