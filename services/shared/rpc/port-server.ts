import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { PortError } from '#core/errors.ts';
import { readFrames, writeFrame } from './frames.ts';
import { encodeError, type Request, type Response } from './messages.ts';

export interface PortServer {
  /** Ends the connections; calls under way are answered first, for at most a second. */
  close(): Promise<void>;
}

/**
 * Offers an object's methods to the other processes of this platform over a Unix domain socket that its owner alone may open.
 * A last argument `{ signal }` reaches the method as a signal that aborts when the caller stops waiting or goes away.
 */
export async function servePort(path: string, name: string, implementation: object): Promise<PortServer> {
  rmSync(path, { force: true });
  const sockets = new Set<Socket>();
  const calls = new Set<Promise<void>>();
  const server = createServer((socket) => {
    sockets.add(socket);
    const underWay = new Map<number, AbortController>();
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      sockets.delete(socket);
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
      const controller = new AbortController();
      underWay.set(request.id, controller);
      const call = answer(name, implementation, request, controller.signal)
        .then((response) => (socket.destroyed ? undefined : writeFrame(socket, response)))
        .catch((error: unknown) => (socket.destroyed ? undefined : writeFrame(socket, encodeError(request.id, error))))
        .finally(() => {
          underWay.delete(request.id);
          calls.delete(call);
        });
      calls.add(call);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  chmodSync(path, 0o600);
  return {
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      await Promise.race([Promise.allSettled(calls), new Promise((resolve) => setTimeout(resolve, 1000).unref())]);
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

async function answer(
  name: string,
  implementation: object,
  request: Extract<Request, { type: 'call' }>,
  signal: AbortSignal,
): Promise<Response> {
  try {
    const method = (implementation as Record<string, unknown>)[request.method];
    if (typeof method !== 'function') throw new PortError('unimplemented', `${name} has no method ${request.method}`);
    const given: unknown[] = request.withSignal
      ? [...request.arguments.slice(0, -1), { ...(request.arguments.at(-1) as object), signal }]
      : [...request.arguments];
    return {
      type: 'result',
      id: request.id,
      value: await (method as (...values: unknown[]) => unknown).apply(implementation, given),
    };
  } catch (error) {
    return encodeError(request.id, error);
  }
}
