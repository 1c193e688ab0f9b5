import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** Stands between an adapter and a peer of any protocol over TCP: connections can be cut, and held so that nothing comes through. */
export class TcpFaults implements AsyncDisposable {
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #isHeld = false;
  #isDown = false;
  #bytesUntilCut = Infinity;
  /** Changes what comes from the peer, a chunk at a time. */
  received: ((chunk: Buffer) => Buffer) | undefined;
  #holdAt: { readonly sent: string; readonly held: () => void } | undefined;

  /** `port`: where the peer has to know it. */
  static async start(target: { readonly port: number }, port = 0): Promise<TcpFaults> {
    const proxy: TcpFaults = new TcpFaults(
      createServer((client) => {
        if (proxy.#isDown) client.destroy();
        else proxy.#take(client, connect(target.port, '127.0.0.1'));
      }),
    );
    await once(proxy.#server.listen(port, '127.0.0.1'), 'listening');
    return proxy;
  }

  private constructor(server: Server) {
    this.#server = server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** How many connections there are. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** Ends every connection as a lost network does. */
  cut(): void {
    for (const { client, peer } of this.#pairs) {
      client.resetAndDestroy();
      peer.resetAndDestroy();
    }
  }

  /** Ends every connection, and each new one at once, until it is up again. */
  down(): void {
    this.#isDown = true;
    this.cut();
  }

  up(): void {
    this.#isDown = false;
  }

  /** Cuts once so many more bytes have gone to the peer. */
  cutAfter(bytes: number): void {
    this.#bytesUntilCut = bytes;
  }

  /** Lets nothing through, in either direction, until it is let go. */
  hold(): void {
    this.#isHeld = true;
    for (const { client, peer } of this.#pairs) for (const socket of [client, peer]) socket.pause();
  }

  /** Holds as soon as something with these characters has gone to the peer; resolves then. */
  holdOnceSent(sent: string): Promise<void> {
    return new Promise((resolve) => {
      this.#holdAt = { sent, held: resolve };
    });
  }

  /** Forgets every connection without telling either side, as a middlebox does that was replaced; new ones go through. */
  forget(): void {
    for (const { client, peer } of this.#pairs)
      for (const socket of [client, peer]) socket.removeAllListeners('data').removeAllListeners('drain').pause();
  }

  letGo(): void {
    this.#isHeld = false;
    for (const { client, peer } of this.#pairs) for (const socket of [client, peer]) socket.resume();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.cut();
    await closed;
  }

  #take(client: Socket, peer: Socket): void {
    const pair = { client, peer };
    this.#pairs.add(pair);
    const end = (): void => {
      this.#pairs.delete(pair);
      client.destroy();
      peer.destroy();
    };
    for (const socket of [client, peer]) socket.setNoDelay().on('error', end).on('close', end);
    client.on('data', (chunk) => this.#pipe(chunk, client, peer));
    peer.on('data', (chunk) => pipe(this.received?.(chunk) ?? chunk, peer, client));
    if (this.#isHeld) for (const socket of [client, peer]) socket.pause();
  }

  #pipe(chunk: Buffer, client: Socket, peer: Socket): void {
    this.#bytesUntilCut -= chunk.length;
    if (this.#bytesUntilCut >= 0) {
      pipe(chunk, client, peer);
      this.#holdAfter(chunk);
      return;
    }
    peer.write(chunk.subarray(0, this.#bytesUntilCut + chunk.length));
    this.#bytesUntilCut = Infinity;
    this.cut();
  }

  #holdAfter(chunk: Buffer): void {
    const { sent, held } = this.#holdAt ?? {};
    if (sent === undefined || !chunk.includes(sent, 0, 'latin1')) return;
    this.#holdAt = undefined;
    this.hold();
    held?.();
  }
}

interface Pair {
  readonly client: Socket;
  readonly peer: Socket;
}

function pipe(chunk: Buffer, from: Socket, to: Socket): void {
  if (to.write(chunk)) return;
  from.pause();
  to.once('drain', () => from.resume());
}
