import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { PortError, throwIfAborted } from '#core/errors.ts';
import { PortConnection, signalIn } from './port-connection.ts';

const FIRST_RECONNECT_MS = 20;
const LONGEST_RECONNECT_MS = 1000;
const WAIT_MS = 2000;
/** See {@link ConnectOptions.silentMs}. */
export const SILENT_MS = 5000;

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
  const client = new PortClient(path, name, options.waitMs ?? WAIT_MS, options.silentMs ?? SILENT_MS);
  return portBy<Port & Connected>({
    call: (method, given) => client.call(method, given),
    disconnect: () => client.disconnect(),
  });
}

/** An object whose methods are calls. */
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the caller names the port
export function portBy<Port extends object>({
  call,
  disconnect,
}: {
  readonly call: (method: string, given: readonly unknown[]) => Promise<unknown>;
  readonly disconnect: () => void;
}): Port {
  return new Proxy({} as Port, {
    get: (_target, property) => {
      if (typeof property !== 'string' || property === 'then') return undefined;
      if (property === 'disconnect') return disconnect;
      return (...given: unknown[]) => call(property, given);
    },
  });
}

class PortClient {
  readonly #path: string;
  readonly #name: string;
  readonly #waitMs: number;
  readonly #silentMs: number;
  #connection: Promise<PortConnection> | undefined;
  #isClosed = false;

  constructor(path: string, name: string, waitMs: number, silentMs: number) {
    this.#path = path;
    this.#name = name;
    this.#waitMs = waitMs;
    this.#silentMs = silentMs;
  }

  disconnect(): void {
    this.#isClosed = true;
    const closed = (): PortError => new PortError('cancelled', `${this.#name}: the connection was closed on this side`);
    void this.#connection?.then(
      (connection) => connection.end(closed),
      () => undefined,
    );
  }

  async call(method: string, given: readonly unknown[]): Promise<unknown> {
    const signal = signalIn(given);
    throwIfAborted(signal);
    const connection = await this.#connected(signal);
    return connection.call({ method, given, name: this.#name });
  }

  async #connected(signal: AbortSignal | undefined): Promise<PortConnection> {
    const until = performance.now() + this.#waitMs;
    for (let delayMs = FIRST_RECONNECT_MS; ; delayMs = Math.min(delayMs * 2, LONGEST_RECONNECT_MS)) {
      if (this.#isClosed)
        throw new PortError('failed_precondition', `${this.#name}: the connection was closed on this side`);
      try {
        this.#connection ??= this.#open();
        const connection = await this.#connection;
        throwIfAborted(signal);
        return connection;
      } catch (error) {
        throwIfAborted(signal);
        this.#connection = undefined;
        if (performance.now() + delayMs > until)
          throw new PortError('unavailable', `${this.#name} does not answer`, { cause: error });
        await sleep(delayMs, undefined, signal ? { signal } : {}).catch(() => throwIfAborted(signal));
      }
    }
  }

  #open(): Promise<PortConnection> {
    return new Promise((resolve, reject) => {
      const socket: Socket = connect(this.#path);
      // A client that only waits for a server must not keep its process alive.
      socket.unref();
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.ref();
        resolve(new PortConnection(socket, this.#silentMs));
      });
      socket.on('close', () => {
        this.#connection = undefined;
        reject(new PortError('unavailable', `${this.#name} went away`));
      });
    });
  }
}
