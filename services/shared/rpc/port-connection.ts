import type { Socket } from 'node:net';
import { PortError, throwIfAborted, type CallOptions } from '#core/errors.ts';
import { readFrames, writeFrame } from './frames.ts';
import { decodeError, MAX_CALLS_UNDER_WAY, type Request, type Response } from './messages.ts';

/** So many pings may go unanswered. */
const PINGS = 5;

/** Nothing was done: what is asked for is not offered there, or not yet, or nobody is there to be asked any more. */
export class AbsentPort extends PortError {
  constructor(why: string) {
    super('unavailable', why);
  }
}

/** What is called over a connection. */
export interface PortCall {
  /** Where several ports are answered at one place. */
  readonly port?: string;
  readonly method: string;
  readonly given: readonly unknown[];
  /** In messages. */
  readonly name: string;
}

interface Waiting {
  readonly name: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** The calls over one connection, which has been made. When it ends, those under way fail with `unavailable`. */
export class PortConnection {
  /** Which copy of a service it leads to, where that says so. */
  readonly copy = Promise.withResolvers<string>();
  readonly #socket: Socket;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #isLast = false;

  /** @param silentMs what does not even answer a ping for so long, while calls wait, is taken as gone */
  constructor(socket: Socket, silentMs: number) {
    this.#socket = socket;
    this.copy.promise.catch(() => undefined);
    readFrames(socket, (value) => this.#receive(value as Response));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.copy.reject(new PortError('unavailable', 'the connection ended'));
      this.#failAll((name) => new PortError('unavailable', `${name} went away`));
    });
    this.#endWhenSilent(silentMs);
  }

  get isOpen(): boolean {
    return this.#socket.writable;
  }

  onEnd(listener: () => void): void {
    this.#socket.on('close', listener);
  }

  /** Ends it; calls under way fail with that error. */
  end(error: (name: string) => PortError): void {
    this.#failAll(error);
    this.#socket.destroy();
  }

  /** Ends it once the calls under way are answered; no others are to follow. */
  drain(): void {
    this.#isLast = true;
    if (this.#waiting.size === 0) this.#socket.destroy();
  }

  /** A last argument with a signal is cancelled on the other side too. */
  async call({ port, method, given, name }: PortCall): Promise<unknown> {
    const signal = signalIn(given);
    throwIfAborted(signal);
    if (this.#waiting.size >= MAX_CALLS_UNDER_WAY)
      throw new PortError('resource_exhausted', `${name}: ${MAX_CALLS_UNDER_WAY} calls are under way`);
    if (!this.isOpen) throw new AbsentPort(`${name} went away`);
    const socket = this.#socket;
    const id = this.#nextId++;
    const values = signal ? [...given.slice(0, -1), { ...(given.at(-1) as object), signal: undefined }] : given;
    const request: Request = {
      ...{ type: 'call', id, method, arguments: values, withSignal: signal !== undefined },
      ...(port !== undefined && { port }),
    };
    const result = new Promise<unknown>((resolve, reject) => this.#waiting.set(id, { name, resolve, reject }));
    const cancel = (): void => {
      this.#settle(id)?.reject(new PortError('cancelled', 'the caller stopped waiting', { cause: signal?.reason }));
      void writeFrame(socket, { type: 'cancel', id } satisfies Request);
    };
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      await writeFrame(socket, request);
      return await result;
    } finally {
      this.#settle(id);
      signal?.removeEventListener('abort', cancel);
    }
  }

  /** Pings while calls wait; what a process that hangs would never answer fails. */
  #endWhenSilent(silentMs: number): void {
    const socket = this.#socket;
    let unanswered = 0;
    socket.on('data', () => (unanswered = 0));
    const timer = setInterval(() => {
      if (this.#waiting.size === 0) unanswered = 0;
      else if (unanswered++ < PINGS) void writeFrame(socket, { type: 'ping' } satisfies Request);
      else socket.destroy();
    }, silentMs / PINGS);
    timer.unref();
    socket.on('close', () => clearInterval(timer));
  }

  #receive(response: Response): void {
    if (response.type === 'pong') return;
    if (response.type === 'hello') {
      this.copy.resolve(response.copy);
      return;
    }
    const waiting = this.#settle(response.id);
    if (response.type === 'result') waiting?.resolve(response.value);
    else if (response.type === 'absent') waiting?.reject(new AbsentPort(`${waiting.name} is not ready there yet`));
    else waiting?.reject(decodeError(response));
  }

  #settle(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (this.#isLast) this.drain();
    return waiting;
  }

  #failAll(error: (name: string) => PortError): void {
    for (const { name, reject } of this.#waiting.values()) reject(error(name));
    this.#waiting.clear();
  }
}

/** The signal that a call's last argument has. */
export function signalIn(given: readonly unknown[]): AbortSignal | undefined {
  const last = given.at(-1) as CallOptions | null | undefined;
  return typeof last === 'object' && last !== null && last.signal instanceof AbortSignal ? last.signal : undefined;
}
