import { randomUUID } from 'node:crypto';
import type { Server } from 'node:net';
import { createServer } from 'node:tls';
import { PortError } from '#core/errors.ts';
import { writeFrame } from './frames.ts';
import { serverTls, whyNot } from './link-tls.ts';
import { webSocketListener, type Origin } from './link-websocket.ts';
import type { Response } from './messages.ts';
import { Answering, type PortServer } from './port-server.ts';

/** So many connections at once: each copy of each other service has a few. */
const MAX_CONNECTIONS = 1024;
const TELL_AT_MOST_EVERY_MS = 10_000;

/** What connections are made of: `websocket` where nothing but HTTP gets through. The session in them is the same. */
export type LinkTransport = 'tcp' | 'websocket';

export interface LinkServerOptions {
  readonly port: number;
  /** Default: `tcp`. */
  readonly over?: LinkTransport;
  readonly key: Buffer;
  /** Told of who is refused, at most every ten seconds. */
  readonly warn: (about: object, what: string) => void;
}

/** Answers other services that have the key, at one port of this machine, whatever ports of the platform it offers. */
export class LinkServer {
  readonly port: number;
  readonly #server: Server;
  readonly #answering: Answering;
  readonly #offered: Map<string, object>;

  /** @throws PortError failed_precondition: it cannot be listened there. */
  static async open({ port, over = 'tcp', key, warn }: LinkServerOptions): Promise<LinkServer> {
    const offered = new Map<string, object>();
    const answering = new Answering((name) => {
      const found = name === undefined ? undefined : offered.get(name);
      return found && { name: name!, port: found };
    });
    const copy = randomUUID();
    const tell = refusals(warn);
    const sessions = (cameFrom?: Origin): Server =>
      createServer(serverTls(key), (socket) => {
        answering.take(socket);
        void writeFrame(socket, { type: 'hello', copy } satisfies Response);
      }).on('tlsClientError', (error, { remoteAddress }) => tell(error, cameFrom ?? { from: remoteAddress }));
    const server =
      over === 'tcp'
        ? sessions()
        : // One for each, as a session does not say which stream it is in, and so not who is refused.
          webSocketListener((stream, cameFrom) => sessions(cameFrom).emit('connection', stream));
    server.maxConnections = MAX_CONNECTIONS;
    await listenAt(server, port);
    const address = server.address();
    return new LinkServer(server, answering, offered, typeof address === 'object' && address ? address.port : port);
  }

  private constructor(server: Server, answering: Answering, offered: Map<string, object>, port: number) {
    this.#server = server;
    this.#answering = answering;
    this.#offered = offered;
    this.port = port;
  }

  /** Until it is closed again. Calls for a port that is not offered are told so, and done nowhere. */
  offer(port: string, implementation: object): PortServer {
    this.#offered.set(port, implementation);
    return {
      close: async () => {
        if (this.#offered.get(port) === implementation) this.#offered.delete(port);
      },
    };
  }

  close(): Promise<void> {
    return this.#answering.close(this.#server);
  }
}

async function listenAt(server: Server, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, resolve);
  }).catch((error: unknown) => {
    const { code = 'unknown' } = error as NodeJS.ErrnoException;
    throw new PortError(
      'failed_precondition',
      `port ${port}, for links to other services, cannot be listened on (${code}): set TRIBO_LINK_PORT to another`,
      { cause: error },
    );
  });
}

function refusals(warn: LinkServerOptions['warn']): (error: Error, cameFrom: Origin) => void {
  let lastMs = -Infinity;
  let untold = 0;
  return (error, cameFrom) => {
    untold++;
    const nowMs = performance.now();
    if (nowMs - lastMs < TELL_AT_MOST_EVERY_MS) return;
    warn({ ...cameFrom, refused: untold }, `a connection to the port of the links was refused: ${whyNot(error)}`);
    lastMs = nowMs;
    untold = 0;
  };
}
