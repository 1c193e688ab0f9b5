import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface HttpReceiver {
  /** Without a path. */
  readonly url: string;
  readonly port: number;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A real HTTP server on loopback that hands each request to `answer` once its body is there. Disposing of it cuts what is still open. */
export async function startHttpReceiver(
  answer: (request: IncomingMessage, response: ServerResponse, body: Buffer) => void,
  givenPort = 0,
): Promise<HttpReceiver> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => answer(request, response, Buffer.concat(chunks)));
  });
  // Else a connection that a slow test left idle is closed as it is used again.
  server.keepAliveTimeout = 0;
  await once(server.listen(givenPort, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    [Symbol.asyncDispose]: async () => {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
