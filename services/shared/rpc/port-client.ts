import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { PortError, throwIfAborted, type CallOptions } from '#core/errors.ts';
import { readFrames, writeFrame } from './frames.ts';
import { decodeError, type Request, type Response } from './messages.ts';

const FIRST_RECONNECT_MS = 20;
const LONGEST_RECONNECT_MS = 1000;
const MAX_CALLS_UNDER_WAY = 10_000;
const SILENT_MS = 5000;
/** So many pings may go unanswered. */
const PINGS = 5;

export interface ConnectOptions {
  /** How long a call waits for a server that is away before it fails with `unavailable`. Default 2000. */
  readonly waitMs?: number;
  /**
   * A call may take as long as it needs, but not wait for a process that hangs: a server that does not even answer a ping for so long while
   * calls are under way is taken as gone. Default 5000.
   */
  readonly silentMs?: number;
}

export interface Connected {
  /** Ends the connection; calls under way fail with `cancelled`. */
  disconnect(): void;
}

/**
 * A port of another process as if it were here. Reconnects by itself; a call under way when the server ends fails with `unavailable`: it may or
 * may not have been carried out, as with any port.
 */
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the caller names the port
export function connectPort<Port extends object>(
  path: string,
  name: string,
  options: ConnectOptions = {},
): Port & Connected {
  const client = new PortClient(path, name, options.waitMs ?? 2000, options.silentMs ?? SILENT_MS);
  return new Proxy({} as Port & Connected, {
    get: (_target, property) => {
      if (typeof property !== 'string' || property === 'then') return undefined;
      if (property === 'disconnect') return () => client.disconnect();
      return (...given: unknown[]) => client.call(property, given);
    },
  });
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

class PortClient {
  readonly #path: string;
  readonly #name: string;
  readonly #waitMs: number;
  readonly #silentMs: number;
  readonly #waiting = new Map<number, Waiting>();
  #connection: Promise<Socket> | undefined;
  #nextId = 1;
  #isClosed = false;

  constructor(path: string, name: string, waitMs: number, silentMs: number) {
    this.#path = path;
    this.#name = name;
    this.#waitMs = waitMs;
    this.#silentMs = silentMs;
  }

  disconnect(): void {
    this.#isClosed = true;
    this.#failAll(new PortError('cancelled', `${this.#name}: the connection was closed on this side`));
    void this.#connection?.then(
      (socket) => socket.destroy(),
      () => undefined,
    );
  }

  async call(method: string, given: readonly unknown[]): Promise<unknown> {
    const last = given.at(-1) as CallOptions | null | undefined;
    const signal =
      typeof last === 'object' && last !== null && last.signal instanceof AbortSignal ? last.signal : undefined;
    throwIfAborted(signal);
    if (this.#waiting.size >= MAX_CALLS_UNDER_WAY)
      throw new PortError('resource_exhausted', `${this.#name}: ${MAX_CALLS_UNDER_WAY} calls are under way`);
    const socket = await this.#connected(signal);
    const id = this.#nextId++;
    const values = signal ? [...given.slice(0, -1), { ...last, signal: undefined }] : given;
    const request: Request = { type: 'call', id, method, arguments: values, withSignal: signal !== undefined };
    const result = new Promise<unknown>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    const cancel = (): void => {
      this.#settle(id)?.reject(new PortError('cancelled', 'the caller stopped waiting', { cause: signal?.reason }));
      void writeFrame(socket, { type: 'cancel', id } satisfies Request);
    };
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      await writeFrame(socket, request);
      return await result;
    } finally {
      this.#waiting.delete(id);
      signal?.removeEventListener('abort', cancel);
    }
  }

  async #connected(signal: AbortSignal | undefined): Promise<Socket> {
    const until = performance.now() + this.#waitMs;
    for (let delayMs = FIRST_RECONNECT_MS; ; delayMs = Math.min(delayMs * 2, LONGEST_RECONNECT_MS)) {
      if (this.#isClosed)
        throw new PortError('failed_precondition', `${this.#name}: the connection was closed on this side`);
      try {
        this.#connection ??= this.#open();
        const socket = await this.#connection;
        throwIfAborted(signal);
        return socket;
      } catch (error) {
        throwIfAborted(signal);
        this.#connection = undefined;
        if (performance.now() + delayMs > until)
          throw new PortError('unavailable', `${this.#name} does not answer`, { cause: error });
        await sleep(delayMs, undefined, signal ? { signal } : {}).catch(() => throwIfAborted(signal));
      }
    }
  }

  #open(): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.#path);
      // A client that only waits for a server must not keep its process alive.
      socket.unref();
      readFrames(socket, (value) => this.#receive(value as Response));
      socket.once('connect', () => {
        socket.ref();
        this.#endWhenSilent(socket);
        resolve(socket);
      });
      socket.once('error', reject);
      socket.on('close', () => {
        this.#connection = undefined;
        this.#failAll(new PortError('unavailable', `${this.#name} went away`));
      });
    });
  }

  /** Pings while calls wait; what a process that hangs would never answer fails, and the next call connects anew. */
  #endWhenSilent(socket: Socket): void {
    let unanswered = 0;
    socket.on('data', () => (unanswered = 0));
    const timer = setInterval(() => {
      if (this.#waiting.size === 0) unanswered = 0;
      else if (unanswered++ < PINGS) void writeFrame(socket, { type: 'ping' } satisfies Request);
      else socket.destroy();
    }, this.#silentMs / PINGS);
    timer.unref();
    socket.on('close', () => clearInterval(timer));
  }

  #receive(response: Response): void {
    if (response.type === 'pong') return;
    const waiting = this.#settle(response.id);
    if (response.type === 'result') waiting?.resolve(response.value);
    else waiting?.reject(decodeError(response));
  }

  #settle(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }

  #failAll(error: PortError): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
