import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { PortError } from '#core/errors.ts';
import { readFrames, writeFrame } from './frames.ts';
import { encodeError, MAX_CALLS_UNDER_WAY, type Request, type Response } from './messages.ts';

export interface PortServer {
  /** Ends the connections; calls under way are answered first, for at most a second. */
  close(): Promise<void>;
}

/** The object whose own methods are asked for, by the port that a request names; undefined where there is none now. */
export type Offered = (port: string | undefined) => { readonly name: string; readonly port: object } | undefined;

type Call = Extract<Request, { type: 'call' }>;

const ANSWERED_WITHIN_MS = 1000;
/** With those that are refused, until that is written: a connection with more is ended. */
const MAX_ANSWERS_UNDER_WAY = 2 * MAX_CALLS_UNDER_WAY;

/**
 * Offers an object's own methods, and none that it inherits ({@link methodsOf}), to the other processes of this platform over a Unix domain socket
 * that its owner alone may open.
 * A last argument `{ signal }` reaches the method as a signal that aborts when the caller stops waiting or goes away.
 */
export async function servePort(path: string, name: string, implementation: object): Promise<PortServer> {
  rmSync(path, { force: true });
  const answering = new Answering(() => ({ name, port: implementation }));
  const server = createServer((socket) => answering.take(socket));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  chmodSync(path, 0o600);
  return { close: () => answering.close(server) };
}

/** Of an object those methods alone, as what is offered. */
export function methodsOf<Port extends object, Name extends keyof Port>(
  port: Port,
  names: readonly Name[],
): Pick<Port, Name> {
  const methods = names.map((name) => [name, (port[name] as (...given: unknown[]) => unknown).bind(port)]);
  return Object.fromEntries(methods) as Pick<Port, Name>;
}

/** Answers calls on the connections that a server takes. */
export class Answering {
  readonly #offered: Offered;
  readonly #sockets = new Set<Socket>();
  readonly #calls = new Set<Promise<void>>();
  #isClosed = false;

  constructor(offered: Offered) {
    this.#offered = offered;
  }

  take(socket: Socket): void {
    // One that was being made as the server closed would keep it open.
    if (this.#isClosed) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    const underWay = new Map<number, AbortController>();
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.#sockets.delete(socket);
      for (const controller of underWay.values()) controller.abort();
    });
    readFrames(socket, (value) => {
      const request = value as Request;
      if (request.type === 'cancel') {
        underWay.get(request.id)?.abort();
        return;
      }
      if (request.type === 'ping') {
        void writeFrame(socket, { type: 'pong' } satisfies Response);
        return;
      }
      if (underWay.has(request.id)) throw new RangeError(`call ${request.id} is under way already`);
      if (underWay.size >= MAX_ANSWERS_UNDER_WAY)
        throw new RangeError(`${MAX_ANSWERS_UNDER_WAY} calls have no answer yet`);
      const controller = new AbortController();
      const isOneTooMany = underWay.size >= MAX_CALLS_UNDER_WAY;
      underWay.set(request.id, controller);
      const call = (isOneTooMany ? refusal(request) : this.#answer(request, controller.signal))
        .then((response) => (socket.destroyed ? undefined : writeFrame(socket, response)))
        .catch((error: unknown) => (socket.destroyed ? undefined : writeFrame(socket, encodeError(request.id, error))))
        .finally(() => {
          underWay.delete(request.id);
          this.#calls.delete(call);
        });
      this.#calls.add(call);
    });
  }

  /** With the server that the connections came from. */
  async close(server: Server): Promise<void> {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    await Promise.race([
      Promise.allSettled(this.#calls),
      new Promise((resolve) => setTimeout(resolve, ANSWERED_WITHIN_MS).unref()),
    ]);
    this.#isClosed = true;
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #answer(request: Call, signal: AbortSignal): Promise<Response> {
    const { id, port, method: name, arguments: sent, withSignal } = request;
    const offered = this.#offered(port);
    if (!offered) return { type: 'absent', id };
    try {
      const method = Object.hasOwn(offered.port, name) && (offered.port as Record<string, unknown>)[name];
      if (typeof method !== 'function') throw new PortError('unimplemented', `${offered.name} has no method ${name}`);
      const given: unknown[] = withSignal ? [...sent.slice(0, -1), { ...(sent.at(-1) as object), signal }] : [...sent];
      const value: unknown = await (method as (...values: unknown[]) => unknown).apply(offered.port, given);
      return { type: 'result', id, value };
    } catch (error) {
      return encodeError(id, error);
    }
  }
}

async function refusal({ id, method }: Call): Promise<Response> {
  const most = `${MAX_CALLS_UNDER_WAY} calls of this connection are under way, with those that go on although they were cancelled`;
  return encodeError(id, new PortError('resource_exhausted', `${most}: call ${method} again when some have ended`));
}
